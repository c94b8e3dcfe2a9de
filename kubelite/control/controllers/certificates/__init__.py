"""Controllers of CertificateSigningRequests: approval of those of kubelets, removal of old ones."""
