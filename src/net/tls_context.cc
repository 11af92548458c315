#include "net/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace stoker::net {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype([](BIO* bio) { BIO_free_all(bio); })>;
using CertificatePtr = std::unique_ptr<X509, decltype([](X509* certificate) { X509_free(certificate); })>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { EVP_PKEY_free(key); })>;

// A resumed session carries the verdict on its certificate; an hour bounds how long a verdict lives.
constexpr long kSessionSeconds = 3600;

Error configError(std::string_view what) {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return Error(Reason::BadRequest, "TLS: " + std::string(what) + (reason ? std::string(": ") + reason : ""));
}

int noPassPhrase(char*, int, int, void*) { return -1; }

std::vector<CertificatePtr> certificatesOf(const std::string& pem) {
  std::vector<CertificatePtr> certificates;
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, noPassPhrase, nullptr)) {
    // OpenSSL works out the extensions on first use; done here, no two handshakes meet over it.
    X509_check_purpose(next, -1, 0);
    certificates.emplace_back(next);
  }
  ERR_clear_error();  // the end of the text is reported as an error
  return certificates;
}

Result<void> useIdentity(SSL_CTX* context, const std::string& certificatePem, const std::string& keyPem) {
  auto chain = certificatesOf(certificatePem);
  if (chain.empty()) return configError("the certificate is not PEM (a block \"CERTIFICATE\" is expected)");
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1) return configError("the certificate cannot be used");
  for (size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1)
      return configError("the certificate chain cannot be used");
  BioPtr bio(BIO_new_mem_buf(keyPem.data(), static_cast<int>(keyPem.size())));
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, noPassPhrase, nullptr));
  if (!key) return configError("the private key is not PEM (a block \"PRIVATE KEY\" is expected)");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return configError("the private key does not belong to the certificate");
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& caPem, bool announce) {
  auto signers = certificatesOf(caPem);
  if (signers.empty()) return configError("the CA is not PEM (a block \"CERTIFICATE\" is expected)");
  for (auto& signer : signers) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), signer.get());
    if (announce) SSL_CTX_add_client_CA(context, signer.get());
  }
  ERR_clear_error();  // a signer listed twice is no problem
  return {};
}

/// Verifies as usual, keeps the verdict with the session, and lets the handshake go on whatever it is.
int verifyButContinue(X509_STORE_CTX* store, void*) {
  X509_verify_cert(store);
  ERR_clear_error();
  return 1;
}

int selectHttp11(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                 unsigned offeredSize, void*) {
  static constexpr unsigned char kOurs[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, size, kOurs, sizeof kOurs, offered, offeredSize) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

TlsContext newContext(const SSL_METHOD* method) {
  TlsContext context(SSL_CTX_new(method), [](SSL_CTX* made) { SSL_CTX_free(made); });
  if (!context) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

bool isAddress(const std::string& name) {
  in6_addr bytes;
  return inet_pton(AF_INET, name.c_str(), &bytes) == 1 || inet_pton(AF_INET6, name.c_str(), &bytes) == 1;
}

std::string nameEntry(const X509_NAME_ENTRY* entry) {
  unsigned char* text = nullptr;
  int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) return {};
  std::string value(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return value;
}

}  // namespace

Result<TlsContext> serverTls(const ServerOptions& options) {
  TlsContext context = newContext(TLS_server_method());
  if (!context) return configError("no context");
  STOKER_CHECK(useIdentity(context.get(), options.certificatePem, options.keyPem));
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_alpn_select_cb(context.get(), selectHttp11, nullptr);
  static constexpr unsigned char kSessionContext[] = "stoker";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_timeout(context.get(), kSessionSeconds);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets keep sessions at the client
  SSL_CTX_set_num_tickets(context.get(), 1);
  if (!options.clientCaPem.empty()) {
    STOKER_CHECK(trust(context.get(), options.clientCaPem, true));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context.get(), verifyButContinue, nullptr);
  }
  return context;
}

Result<TlsContext> clientTls(const ClientOptions& options) {
  TlsContext context = newContext(TLS_client_method());
  if (!context) return configError("no context");
  if (!options.certificatePem.empty() || !options.keyPem.empty())
    STOKER_CHECK(useIdentity(context.get(), options.certificatePem, options.keyPem));
  if (options.insecureSkipVerify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (options.caPem.empty())
      SSL_CTX_set_default_verify_paths(context.get());
    else
      STOKER_CHECK(trust(context.get(), options.caPem, false));
  }
  static constexpr unsigned char kProtocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context.get(), kProtocols, sizeof kProtocols);
  return context;
}

std::optional<Request::Peer> verifiedPeer(ssl_st* ssl) {
  CertificatePtr certificate(SSL_get1_peer_certificate(ssl));
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return std::nullopt;
  // A resumed session may have outlived the certificate it was verified with.
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) <= 0) return std::nullopt;
  Request::Peer peer;
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  for (int i = 0; i < X509_NAME_entry_count(subject); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(subject, i);
    int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
    if (nid == NID_commonName) peer.commonName = nameEntry(entry);
    if (nid == NID_organizationName) peer.organizations.push_back(nameEntry(entry));
  }
  return peer;
}

Result<void> expectServer(ssl_st* ssl, const std::string& name, bool verify) {
  bool address = isAddress(name);
  if (!address && SSL_set_tlsext_host_name(ssl, name.c_str()) != 1)
    return configError("\"" + name + "\" cannot be a server's name");
  if (!verify) return {};
  bool set = address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1
                     : SSL_set1_host(ssl, name.c_str()) == 1;
  if (!set) return configError("\"" + name + "\" cannot be a server's name");
  return {};
}

std::string certificateProblem(ssl_st* ssl) {
  long result = SSL_get_verify_result(ssl);
  return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
}

}  // namespace stoker::net
