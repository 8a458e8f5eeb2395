//! SCRAM credentials (RFC 5802, RFC 7677) as Kafka keeps them: what a password was salted and hashed to, never the
//! password.
//!
//! ```text
//! salt=BASE64,stored_key=BASE64,server_key=BASE64,iterations=NUMBER
//! ```
//!
//! Source: Kafka's `ScramFormatter` and `ScramCredentialUtils`; KIP-84, KIP-554.

use super::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use std::fmt;

/// Fewest iterations that a credential may have.
pub const ITERATIONS_MIN: i32 = 4096;
/// Most iterations that a broker takes from a client.
pub const ITERATIONS_MAX: i32 = 16_384;
/// Length of a new salt: 26 digits of 36 kinds, 134 bits.
const SALT_BYTES: usize = 26;

/// A hash function to salt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256, number 1.
    Sha256,
    /// SCRAM-SHA-512, number 2.
    Sha512,
}

impl ScramMechanism {
    /// By number.
    pub const ALL: [ScramMechanism; 2] = [ScramMechanism::Sha256, ScramMechanism::Sha512];

    /// `SCRAM-SHA-256` or `SCRAM-SHA-512`: the mechanism's name, and the key of a user's configuration.
    pub fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The number in requests.
    pub fn number(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }

    /// By its number.
    pub fn from_number(number: i8) -> Option<ScramMechanism> {
        ScramMechanism::ALL.into_iter().find(|mechanism| mechanism.number() == number)
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<ScramMechanism> {
        ScramMechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// What a client sends instead of a password. Takes time by `iterations`.
    pub fn salted_password(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        fn hashed<const N: usize>(derive: impl FnOnce(&mut [u8])) -> Vec<u8> {
            let mut salted = [0; N];
            derive(&mut salted);
            salted.to_vec()
        }
        let password = password.as_bytes();
        match self {
            ScramMechanism::Sha256 => {
                hashed::<32>(|out| pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, out))
            }
            ScramMechanism::Sha512 => {
                hashed::<64>(|out| pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, out))
            }
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        fn sign<M: Mac + hmac::digest::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
            let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            ScramMechanism::Sha256 => sign::<Hmac<Sha256>>(key, text),
            ScramMechanism::Sha512 => sign::<Hmac<Sha512>>(key, text),
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            ScramMechanism::Sha256 => Sha256::digest(bytes).to_vec(),
            ScramMechanism::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What a server needs to know a password by. Shown by [`fmt::Display`] as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    salt: Vec<u8>,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
    iterations: i32,
}

impl ScramCredential {
    /// Of a salted password.
    pub fn new(mechanism: ScramMechanism, salt: &[u8], salted_password: &[u8], iterations: i32) -> Self {
        let client_key = mechanism.hmac(salted_password, b"Client Key");
        ScramCredential {
            salt: salt.to_vec(),
            stored_key: mechanism.hash(&client_key),
            server_key: mechanism.hmac(salted_password, b"Server Key"),
            iterations,
        }
    }

    /// Of a password, with a salt of its own.
    pub fn of_password(mechanism: ScramMechanism, password: &str, iterations: i32) -> Self {
        let salt = new_salt();
        let salted = mechanism.salted_password(password, &salt, iterations.unsigned_abs());
        ScramCredential::new(mechanism, &salt, &salted, iterations)
    }

    /// As it is stored; `None` if that is no credential.
    pub fn parse(text: &str) -> Option<ScramCredential> {
        let mut parts: Vec<(&str, &str)> = Vec::with_capacity(4);
        for part in text.split(',') {
            let (key, value) = part.split_once('=').filter(|(key, _)| !key.is_empty())?;
            parts.retain(|(earlier, _)| *earlier != key);
            parts.push((key, value));
        }
        let value = |key: &str| parts.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let bytes = |key: &str| STANDARD.decode(value(key)?).ok();
        let credential = ScramCredential {
            salt: bytes("salt")?,
            stored_key: bytes("stored_key")?,
            server_key: bytes("server_key")?,
            iterations: value("iterations")?.parse().ok()?,
        };
        (parts.len() == 4).then_some(credential)
    }

    /// How often the password was hashed.
    pub fn iterations(&self) -> i32 {
        self.iterations
    }
}

impl fmt::Display for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        write!(
            f,
            "salt={},stored_key={},server_key={},iterations={}",
            base64(&self.salt),
            base64(&self.stored_key),
            base64(&self.server_key),
            self.iterations
        )
    }
}

/// A salt that nobody has, of digits and small letters, as Kafka's.
pub fn new_salt() -> Vec<u8> {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..SALT_BYTES).map(|_| DIGITS[random::below(36) as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The exchange of RFC 7677: user "user", password "pencil". The client's proof and the server's signature that
    /// stand there follow from these keys.
    #[test]
    fn keys_are_those_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let mechanism = ScramMechanism::Sha256;
        let salted = mechanism.salted_password("pencil", &salt, 4096);
        let credential = ScramCredential::new(mechanism, &salt, &salted, 4096);
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = mechanism.hmac(&credential.server_key, messages.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let mask = mechanism.hmac(&credential.stored_key, messages.as_bytes());
        let client_key = mechanism.hmac(&salted, b"Client Key");
        let proof: Vec<u8> = client_key.iter().zip(&mask).map(|(key, mask)| key ^ mask).collect();
        assert_eq!(STANDARD.encode(proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    }

    #[test]
    fn both_mechanisms_hash_as_published() {
        // Test vectors of PBKDF2: RFC 7914 for SHA-256, and their counterparts for SHA-512.
        let salted = |mechanism: ScramMechanism| hex(&mechanism.salted_password("password", b"salt", 1));
        let sha256 = "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b";
        assert_eq!(salted(ScramMechanism::Sha256), sha256);
        assert!(
            salted(ScramMechanism::Sha512).starts_with("867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5")
        );
    }

    #[test]
    fn what_is_stored_can_be_read() {
        for mechanism in ScramMechanism::ALL {
            let credential = ScramCredential::of_password(mechanism, "päss", 4096);
            let text = credential.to_string();
            assert!(!text.contains("päss"), "{text}");
            assert!(ScramCredential::parse(&text) == Some(credential), "{text}");
            assert_eq!(ScramMechanism::from_name(mechanism.name()), Some(mechanism));
            assert_eq!(ScramMechanism::from_number(mechanism.number()), Some(mechanism));
        }
        for bad in ["", "salt", "iterations=1,password=x", "salt=,stored_key=,server_key=", "=1,salt="] {
            assert!(ScramCredential::parse(bad).is_none(), "{bad}");
        }
        assert!(ScramCredential::parse("salt=,stored_key=,server_key=,iterations=x").is_none());
        assert!(ScramCredential::parse("salt=!,stored_key=,server_key=,iterations=1").is_none());
        assert!(ScramCredential::parse("salt=,stored_key=,server_key=,iterations=1,more=2").is_none());
        assert!(ScramMechanism::from_number(0).is_none());
    }
}
