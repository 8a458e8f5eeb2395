//! SCRAM credentials of users: through a broker, which gets what is salted already, and in ZooKeeper itself.
//!
//! On the command line one is `SCRAM-SHA-256=[iterations=8192,password=secret]`; the iterations may be left out.

use crate::common::scram::{ITERATIONS_MIN, ScramCredential, ScramMechanism, new_salt};
use crate::protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use crate::tools::client::Admin;
use crate::tools::exception::Exception;

/// Kafka's constant of a mechanism, which some of its messages show.
fn constant(mechanism: ScramMechanism) -> String {
    mechanism.name().replace('-', "_")
}

/// Iterations and password of a credential on the command line. `is_for_broker`: -1 stands for the default.
fn parse(mechanism: ScramMechanism, text: &str, is_for_broker: bool) -> Result<(i32, &str), Exception> {
    let iterations_and_rest = text.strip_prefix("iterations=").and_then(|rest| {
        let (number, rest) = rest.split_once(',')?;
        let digits = if is_for_broker { number.strip_prefix('-').unwrap_or(number) } else { number };
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some((Some(number), rest))
    });
    let (number, rest) = iterations_and_rest.unwrap_or((None, text));
    let Some(password) = rest.strip_prefix("password=") else {
        let message = format!("Invalid credential property {}={text}", constant(mechanism));
        return Err(Exception::illegal_argument(message));
    };
    let iterations = match number {
        None => ITERATIONS_MIN,
        Some("-1") if is_for_broker => ITERATIONS_MIN,
        Some(number) => number.parse().map_err(|_| {
            Exception::new("java.lang.NumberFormatException", format!("For input string: \"{number}\""))
        })?,
    };
    if iterations < ITERATIONS_MIN {
        let name = if is_for_broker { mechanism.name().to_string() } else { constant(mechanism) };
        return Err(Exception::illegal_argument(format!(
            "Iterations {iterations} is less than the minimum {ITERATIONS_MIN} required for {name}"
        )));
    }
    Ok((iterations, password))
}

/// Replaces passwords by what is stored of them.
pub fn salt_passwords(added: &mut [(String, String)]) -> Result<(), Exception> {
    for mechanism in ScramMechanism::ALL {
        for (_, value) in added.iter_mut().filter(|(key, _)| key == mechanism.name()) {
            let (iterations, password) = parse(mechanism, value, false)?;
            *value = ScramCredential::of_password(mechanism, password, iterations).to_string();
        }
    }
    Ok(())
}

/// `--describe` through a broker; nobody named is all.
pub fn describe(admin: &mut Admin, users: &[String]) -> Result<(), Exception> {
    for result in admin.describe_scram(users)? {
        let text = |(number, iterations): (i8, i32)| {
            let name = ScramMechanism::from_number(number).map_or("UNKNOWN", ScramMechanism::name);
            format!("{name}=iterations={iterations}")
        };
        let all = result.credential_infos.iter().map(|info| text((info.mechanism, info.iterations)));
        let all: Vec<String> = all.collect();
        out_line!("SCRAM credential configs for user-principal '{}' are {}", result.user, all.join(", "));
    }
    Ok(())
}

/// `--alter` through a broker.
pub fn alter(
    admin: &mut Admin,
    user: &str,
    added: &[(String, String)],
    deleted: &[String],
) -> Result<(), Exception> {
    let mut request = AlterUserScramCredentialsRequest::default();
    for key in deleted {
        if let Some(mechanism) = ScramMechanism::from_name(key) {
            let (name, mechanism) = (user.into(), mechanism.number());
            request.deletions.push(ScramCredentialDeletion { name, mechanism, ..Default::default() });
        }
    }
    for (key, value) in added {
        if let Some(mechanism) = ScramMechanism::from_name(key) {
            let (iterations, password) = parse(mechanism, value, true)?;
            let salt = new_salt();
            let salted_password = mechanism.salted_password(password, &salt, iterations.unsigned_abs());
            request.upsertions.push(ScramCredentialUpsertion {
                name: user.into(),
                mechanism: mechanism.number(),
                iterations,
                salt: salt.into(),
                salted_password: salted_password.into(),
                ..Default::default()
            });
        }
    }
    if request.deletions.is_empty() && request.upsertions.is_empty() {
        return Ok(());
    }
    admin.alter_scram(&request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_in_kafka() {
        let mechanism = ScramMechanism::Sha256;
        let read = |text, is_for_broker| {
            let read = parse(mechanism, text, is_for_broker);
            read.map(|(iterations, password)| format!("{iterations} {password}"))
                .unwrap_or_else(|exception| exception.message.unwrap_or_default())
        };
        assert_eq!(read("password=a,b=c", false), "4096 a,b=c");
        assert_eq!(read("iterations=8192,password=pw", true), "8192 pw");
        assert_eq!(read("iterations=-1,password=pw", true), "4096 pw");
        let invalid = "Invalid credential property SCRAM_SHA_256=";
        assert_eq!(read("iterations=-1,password=pw", false), format!("{invalid}iterations=-1,password=pw"));
        assert_eq!(read("iterations=5000", false), format!("{invalid}iterations=5000"));
        assert_eq!(read("", true), invalid);
        assert_eq!(read("iterations=,password=pw", true), "For input string: \"\"");
        let few = "Iterations 10 is less than the minimum 4096 required for";
        assert_eq!(read("iterations=10,password=pw", true), format!("{few} SCRAM-SHA-256"));
        assert_eq!(read("iterations=10,password=pw", false), format!("{few} SCRAM_SHA_256"));
    }
}
