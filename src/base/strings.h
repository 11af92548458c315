// strings.h: small text helpers without a better home.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stoker {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string toLower(std::string_view text);

std::string base64Encode(std::string_view bytes);
/// Standard alphabet, padding required; nullopt when malformed.
std::optional<std::string> base64Decode(std::string_view text);
/// RFC 4648 section 5 without padding (JWT, continue tokens).
std::string base64UrlEncode(std::string_view bytes);
std::optional<std::string> base64UrlDecode(std::string_view text);
std::string hexEncode(std::string_view bytes);
/// SHA-256 as raw 32 bytes.
std::string sha256(std::string_view bytes);

/// Levenshtein distance; for "did you mean".
size_t editDistance(std::string_view a, std::string_view b);
/// The candidate nearest to `word`, if it is near enough to be a likely typo.
std::optional<std::string> didYouMean(std::string_view word, const std::vector<std::string>& candidates);

/// Go's fmt %q: double quotes with escapes.
std::string quote(std::string_view text);

}  // namespace stoker
