#include "net/tls.h"

#include <gtest/gtest.h>

#include "net/support_test.h"

namespace stoker::net {
namespace {

TEST(Tls, certificatesEndWhenTheyShould) {
  Time now = *parseTime("2026-11-25T10:00:00Z");
  auto ca = makeCa("ca", now);
  ASSERT_TRUE(ca.ok());
  EXPECT_EQ(*notAfter(ca->certificatePem), now + 3650 * 24h);
  auto leaf =
      issue(*ca, {.commonName = "x", .dnsNames = {"a.b"}, .ipAddresses = {"10.0.0.1", "fe80::1"}, .server = true}, now);
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(*notAfter(leaf->certificatePem), now + 365 * 24h);
  EXPECT_NE(leaf->keyPem.find("BEGIN PRIVATE KEY"), std::string::npos);
}

TEST(Tls, badWishesAreRefusedWithTheirReason) {
  Time now = SystemClock().now();
  const KeyPair& ca = testing::pki().ca;
  EXPECT_EQ(issue(ca, {.commonName = "x", .ipAddresses = {"host"}}, now).error().message,
            "\"host\" is not an IP address; name hosts in dnsNames");
  EXPECT_EQ(issue(ca, {.commonName = std::string(65, 'a')}, now).error().reason, Reason::BadRequest);
  EXPECT_FALSE(issue({ca.certificatePem, testing::pki().foreignCa.keyPem}, {.commonName = "x"}, now).ok());
  EXPECT_FALSE(issue({"nonsense", ca.keyPem}, {.commonName = "x"}, now).ok());
  EXPECT_FALSE(notAfter("nonsense").ok());
}

TEST(Tls, signaturesVerifyOnlyWhatWasSigned) {
  SigningKey key = *SigningKey::read(*makeSigningKey());
  SigningKey other = *SigningKey::read(*makeSigningKey());
  // Repeated, because r and s lose leading zeros in one of 128 signatures.
  for (int i = 0; i < 300; ++i) {
    std::string message = "message " + std::to_string(i);
    auto signature = key.sign(message);
    ASSERT_TRUE(signature.ok());
    ASSERT_EQ(signature->size(), 64u);
    ASSERT_TRUE(key.verify(message, *signature));
  }
  std::string signature = *key.sign("m");
  EXPECT_FALSE(key.verify("n", signature));
  EXPECT_FALSE(other.verify("m", signature));
  EXPECT_FALSE(key.verify("m", signature.substr(1)));
  EXPECT_FALSE(key.verify("m", std::string(64, '\0')));
  signature[10] = static_cast<char>(signature[10] ^ 1);
  EXPECT_FALSE(key.verify("m", signature));
  EXPECT_FALSE(SigningKey::read("nonsense").ok());
}

// RFC 7515, appendix A.3: a signature made by somebody else, with the public key in PEM.
TEST(Tls, verifiesTheExampleOfRfc7515) {
  const std::string key =
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
      "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
      "-----END PUBLIC KEY-----\n";
  const std::string message =
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  const unsigned char signature[] = {14,  209, 33,  83,  121, 99,  108, 72,  60,  47,  127, 21,  88,  7,   212, 2,
                                     163, 178, 40,  3,   58,  249, 124, 126, 23,  129, 154, 195, 22,  158, 166, 101,
                                     197, 10,  7,   211, 140, 60,  112, 229, 216, 241, 45,  175, 8,   74,  84,  128,
                                     166, 101, 144, 197, 242, 147, 80,  154, 143, 63,  127, 138, 131, 163, 84,  213};
  auto read = SigningKey::read(key);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->verify(message, {reinterpret_cast<const char*>(signature), sizeof signature}));
  EXPECT_FALSE(read->sign(message).ok()) << "a public key cannot sign";
}

}  // namespace
}  // namespace stoker::net
