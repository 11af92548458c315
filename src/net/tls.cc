#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

namespace stoker::net {
namespace {

template <auto free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using DigestPtr = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using SignaturePtr = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

constexpr long kDaySeconds = 24 * 3600;
constexpr long kCaSeconds = 3650 * kDaySeconds;
constexpr long kLeafSeconds = 365 * kDaySeconds;
constexpr long kBackdateSeconds = 300;
// X.520's upper bound on a common name, which OpenSSL holds to.
constexpr size_t kMaxCommonName = 64;
constexpr int kCoordinateBytes = 32;  // of P-256

Error openSslError(std::string_view action) {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return Error(Reason::InternalError,
               "cannot " + std::string(action) + ": " + (reason ? reason : "OpenSSL gives no reason"));
}

BioPtr reading(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string content(const BioPtr& bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// A prompt for a pass phrase on the terminal would hang a daemon.
int noPassPhrase(char*, int, int, void*) { return -1; }

Result<CertificatePtr> readCertificate(const std::string& pem) {
  BioPtr bio = reading(pem);
  CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, noPassPhrase, nullptr));
  if (!certificate) return openSslError("read the certificate (a PEM block \"CERTIFICATE\" is expected)");
  return certificate;
}

/// A private key, or nullptr.
KeyPtr privateKey(const std::string& pem) {
  BioPtr bio = reading(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, noPassPhrase, nullptr));
  ERR_clear_error();
  return key;
}

Result<KeyPtr> readPrivateKey(const std::string& pem) {
  KeyPtr key = privateKey(pem);
  if (!key) return Error(Reason::InternalError, "cannot read the private key: a PEM block \"PRIVATE KEY\" is expected");
  return key;
}

/// A private or a public key, or nullptr.
KeyPtr anyKey(const std::string& pem) {
  if (KeyPtr key = privateKey(pem)) return key;
  BioPtr bio = reading(pem);
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, noPassPhrase, nullptr));
  ERR_clear_error();
  return key;
}

bool isP256(const EVP_PKEY* key) { return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_bits(key) == 256; }

Result<KeyPtr> generateKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openSslError("generate a P-256 key");
  return key;
}

Result<std::string> keyToPem(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openSslError("write the private key");
  return content(bio);
}

Result<std::string> certificateToPem(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return openSslError("write the certificate");
  return content(bio);
}

Result<void> setSerial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return openSslError("draw a serial number");
  bytes[0] &= 0x7f;  // positive, as RFC 5280 wants it
  bytes[0] |= 0x40;
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  if (!done) return openSslError("set the serial number");
  return {};
}

Result<void> setValidity(X509* certificate, Time now, long backdate, long seconds) {
  auto base = static_cast<time_t>(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  if (!X509_time_adj_ex(X509_getm_notBefore(certificate), 0, -backdate, &base) ||
      !X509_time_adj_ex(X509_getm_notAfter(certificate), 0, seconds, &base))
    return openSslError("set the validity of the certificate");
  return {};
}

Result<void> addName(X509_NAME* name, int nid, std::string_view value) {
  if (X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                 static_cast<int>(value.size()), -1, 0) != 1)
    return openSslError("put \"" + std::string(value) + "\" into the subject of the certificate");
  return {};
}

Result<void> addExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openSslError(std::string("add the extension ") + OBJ_nid2sn(nid));
  return {};
}

Result<void> addAlternativeNames(X509* certificate, const CertificateRequest& request) {
  if (request.dnsNames.empty() && request.ipAddresses.empty()) return {};
  NamesPtr names(GENERAL_NAMES_new());
  for (const std::string& dns : request.dnsNames) {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size()));
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  for (const std::string& ip : request.ipAddresses) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(ip.c_str());
    if (!address) {
      ERR_clear_error();
      return Error(Reason::BadRequest, "\"" + ip + "\" is not an IP address; name hosts in dnsNames");
    }
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    sk_GENERAL_NAME_push(names.get(), name);
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return openSslError("add the alternative names");
  return {};
}

Result<CertificatePtr> blankCertificate(EVP_PKEY* key, const std::string& commonName,
                                        const std::vector<std::string>& organizations) {
  if (commonName.empty() || commonName.size() > kMaxCommonName)
    return Error(Reason::BadRequest,
                 "the common name \"" + commonName + "\" of a certificate must have 1 to 64 characters");
  CertificatePtr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(certificate.get(), key) != 1)
    return openSslError("make a certificate");
  STOKER_CHECK(setSerial(certificate.get()));
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (const std::string& organization : organizations)
    STOKER_CHECK(addName(subject, NID_organizationName, organization));
  STOKER_CHECK(addName(subject, NID_commonName, commonName));
  return certificate;
}

Result<void> sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, EVP_sha256()) == 0) return openSslError("sign the certificate");
  return {};
}

}  // namespace

Result<KeyPair> makeCa(const std::string& commonName, Time now) {
  STOKER_TRY(KeyPtr key, generateKey());
  STOKER_TRY(CertificatePtr ca, blankCertificate(key.get(), commonName, {}));
  X509* certificate = ca.get();
  STOKER_CHECK(setValidity(certificate, now, kBackdateSeconds, kCaSeconds));
  if (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) != 1)
    return openSslError("name the issuer");
  STOKER_CHECK(addExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE"));
  STOKER_CHECK(addExtension(certificate, certificate, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"));
  STOKER_CHECK(addExtension(certificate, certificate, NID_subject_key_identifier, "hash"));
  STOKER_CHECK(sign(certificate, key.get()));
  KeyPair pair;
  STOKER_TRY(pair.certificatePem, certificateToPem(certificate));
  STOKER_TRY(pair.keyPem, keyToPem(key.get()));
  return pair;
}

Result<KeyPair> issue(const KeyPair& ca, const CertificateRequest& request, Time now) {
  STOKER_TRY(CertificatePtr issuer, readCertificate(ca.certificatePem));
  STOKER_TRY(KeyPtr issuerKey, readPrivateKey(ca.keyPem));
  if (X509_check_private_key(issuer.get(), issuerKey.get()) != 1) {
    ERR_clear_error();
    return Error(Reason::InternalError, "the CA's key does not belong to the CA's certificate");
  }
  STOKER_TRY(KeyPtr key, generateKey());
  STOKER_TRY(CertificatePtr leaf, blankCertificate(key.get(), request.commonName, request.organizations));
  X509* certificate = leaf.get();
  STOKER_CHECK(setValidity(certificate, now, kBackdateSeconds, kLeafSeconds));
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get())) != 1)
    return openSslError("name the issuer");
  STOKER_CHECK(addExtension(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  STOKER_CHECK(addExtension(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature"));
  STOKER_CHECK(
      addExtension(certificate, issuer.get(), NID_ext_key_usage, request.server ? "serverAuth" : "clientAuth"));
  STOKER_CHECK(addExtension(certificate, issuer.get(), NID_subject_key_identifier, "hash"));
  STOKER_CHECK(addExtension(certificate, issuer.get(), NID_authority_key_identifier, "keyid:always"));
  STOKER_CHECK(addAlternativeNames(certificate, request));
  STOKER_CHECK(sign(certificate, issuerKey.get()));
  KeyPair pair;
  STOKER_TRY(pair.certificatePem, certificateToPem(certificate));
  STOKER_TRY(pair.keyPem, keyToPem(key.get()));
  return pair;
}

Result<Time> notAfter(const std::string& certificatePem) {
  STOKER_TRY(CertificatePtr certificate, readCertificate(certificatePem));
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1)
    return openSslError("read when the certificate ends");
  return Time(std::chrono::seconds(timegm(&parts)));
}

Result<std::string> makeSigningKey() {
  STOKER_TRY(KeyPtr key, generateKey());
  return keyToPem(key.get());
}

Result<SigningKey> SigningKey::read(const std::string& pem) {
  KeyPtr key = anyKey(pem);
  if (!key || !isP256(key.get()))
    return Error(Reason::InternalError, "the signing key must be an ECDSA P-256 key in PEM");
  return SigningKey(std::move(key));
}

Result<std::string> SigningKey::sign(std::string_view message) const {
  DigestPtr digest(EVP_MD_CTX_new());
  size_t size = 0;
  auto* data = reinterpret_cast<const unsigned char*>(message.data());
  if (EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(digest.get(), nullptr, &size, data, message.size()) != 1)
    return openSslError("sign");
  std::vector<unsigned char> der(size);
  if (EVP_DigestSign(digest.get(), der.data(), &size, data, message.size()) != 1) return openSslError("sign");
  // JWS wants r and s side by side instead of OpenSSL's DER.
  const unsigned char* cursor = der.data();
  SignaturePtr signature(d2i_ECDSA_SIG(nullptr, &cursor, static_cast<long>(size)));
  std::string raw(2 * kCoordinateBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out, kCoordinateBytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out + kCoordinateBytes, kCoordinateBytes) < 0)
    return openSslError("encode the signature");
  return raw;
}

bool SigningKey::verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != 2 * kCoordinateBytes) return false;
  SignaturePtr parts(ECDSA_SIG_new());
  auto* raw = reinterpret_cast<const unsigned char*>(signature.data());
  BIGNUM* r = BN_bin2bn(raw, kCoordinateBytes, nullptr);
  BIGNUM* s = BN_bin2bn(raw + kCoordinateBytes, kCoordinateBytes, nullptr);
  if (ECDSA_SIG_set0(parts.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return false;
  }
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(parts.get(), &der);
  if (size <= 0) return false;
  DigestPtr digest(EVP_MD_CTX_new());
  bool valid = EVP_DigestVerifyInit(digest.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
               EVP_DigestVerify(digest.get(), der, static_cast<size_t>(size),
                                reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  OPENSSL_free(der);
  ERR_clear_error();
  return valid;
}

}  // namespace stoker::net
