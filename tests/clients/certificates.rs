//! Certificates of an authority of one's own, as openssl makes them.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::peer::Home;

/// An authority that nobody else trusts.
pub(crate) struct Authority {
    home: Home,
}

/// A certificate with its chain, and its key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let home = Home::new("authority");
        let authority = Self { home };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=an authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        authority
    }

    /// The file that says whom to trust.
    pub(crate) fn file(&self) -> String {
        self.path("ca.pem").display().to_string()
    }

    /// Issues a certificate for a name or an address, such as `DNS:localhost`, that is valid for so
    /// many days from now; `-1` is one that has been.
    pub(crate) fn issue(&self, to: &str, days: &str) -> Identity {
        let name = to.replace([':', '.', ','], "-") + "-" + days;
        let (request, key) = (format!("{name}.csr"), format!("{name}.key"));
        let (extensions, certificate) = (format!("{name}.ext"), format!("{name}.pem"));
        self.home.file(&extensions, format!("subjectAltName={to}\n").as_bytes());
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            days,
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ]);
        Identity { certificate: self.path(&certificate), key: self.path(&key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn openssl(&self, args: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(args).current_dir(self.home.path()).stderr(Stdio::null());
        let status = command.status().expect("openssl starts; tests/run installs it");
        assert!(status.success(), "openssl {args:?}");
    }
}

impl Identity {
    /// As keys of a configuration.
    pub(crate) fn yaml(&self) -> String {
        format!("certificate: {}, key: {}", self.certificate.display(), self.key.display())
    }

    /// As arguments of curl.
    pub(crate) fn arguments(&self) -> [String; 4] {
        let [certificate, key] =
            [&self.certificate, &self.key].map(|path| path.display().to_string());
        ["--cert".to_owned(), certificate, "--key".to_owned(), key]
    }

    /// As lines of nginx.
    pub(crate) fn nginx(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("ssl_certificate {certificate}; ssl_certificate_key {key};")
    }
}
