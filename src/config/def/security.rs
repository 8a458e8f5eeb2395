//! TLS, SASL, delegation tokens, encrypted passwords, the KRaft quorum.

use super::prelude::*;

const SSL_CLIENT_AUTH: &[&str] = &["required", "requested", "none"];

keys! {
    /// TLS and SASL.
    pub SECURITY {
        "connections.max.reauth.ms": Long = "0", Any, Medium, ReadOnly, Later =>
            "Longest life of a SASL connection without a new authentication; 0, no limit.";
        "sasl.server.max.receive.size": Int = "524288", Any, Medium, ReadOnly, Later =>
            "Largest request that is read before a SASL client is authenticated.";
        "security.providers": String = null, Any, Low, ReadOnly, Nothing =>
            "Java security providers.";
        "principal.builder.class": Class = null, Any, Medium, PerBroker, Later =>
            "Class that makes a principal of an authenticated connection.";
        "ssl.protocol": String = "TLSv1.3", Any, Medium, PerBroker, Later =>
            "Newest TLS version.";
        "ssl.provider": String = null, Any, Medium, PerBroker, Nothing =>
            "Java security provider for TLS.";
        "ssl.enabled.protocols": List = "TLSv1.2,TLSv1.3", Any, Medium, PerBroker, Later =>
            "TLS versions that are allowed.";
        "ssl.keystore.type": String = "JKS", Any, Medium, PerBroker, Later =>
            "Type of the key store: JKS, PKCS12 or PEM.";
        "ssl.keystore.location": String = null, Any, Medium, PerBroker, Later =>
            "Key store with this broker's key and certificate.";
        "ssl.keystore.password": Password = null, Any, Medium, PerBroker, Later =>
            "Password of the key store.";
        "ssl.key.password": Password = null, Any, Medium, PerBroker, Later =>
            "Password of the key in the key store.";
        "ssl.keystore.key": Password = null, Any, Medium, PerBroker, Later =>
            "Private key, as PEM text.";
        "ssl.keystore.certificate.chain": Password = null, Any, Medium, PerBroker, Later =>
            "Certificate chain, as PEM text.";
        "ssl.truststore.type": String = "JKS", Any, Medium, PerBroker, Later =>
            "Type of the trust store: JKS, PKCS12 or PEM.";
        "ssl.truststore.location": String = null, Any, Medium, PerBroker, Later =>
            "Trust store with the certificates that are believed.";
        "ssl.truststore.password": Password = null, Any, Medium, PerBroker, Later =>
            "Password of the trust store.";
        "ssl.truststore.certificates": Password = null, Any, Medium, PerBroker, Later =>
            "Believed certificates, as PEM text.";
        "ssl.keymanager.algorithm": String = "SunX509", Any, Medium, PerBroker, Nothing =>
            "Java key manager.";
        "ssl.trustmanager.algorithm": String = "PKIX", Any, Medium, PerBroker, Nothing =>
            "Java trust manager.";
        "ssl.endpoint.identification.algorithm": String = "https", Any, Low, PerBroker, Later =>
            "`https` checks the names of other brokers against their certificates, empty does not.";
        "ssl.secure.random.implementation": String = null, Any, Low, PerBroker, Nothing =>
            "Java source of randomness for TLS.";
        "ssl.client.auth": String = "none", OneOf(SSL_CLIENT_AUTH), Medium, PerBroker, Later =>
            "Whether TLS clients must show a certificate.";
        "ssl.cipher.suites": List = "", Any, Medium, PerBroker, Later =>
            "Cipher suites that are allowed; empty, all that the TLS library allows.";
        "ssl.principal.mapping.rules": String = "DEFAULT", Any, Low, ReadOnly, Later =>
            "Rules that make a short name of a certificate's distinguished name.";
        "ssl.engine.factory.class": Class = null, Any, Low, PerBroker, Refused =>
            "Java class that makes TLS engines.";
        "sasl.mechanism.inter.broker.protocol": String = "GSSAPI", Any, Medium, PerBroker, Later =>
            "SASL mechanism between brokers.";
        "sasl.jaas.config": Password = null, Any, Medium, PerBroker, Later =>
            "JAAS login of a listener and mechanism, as `listener.name.NAME.MECHANISM.sasl.jaas.config`.";
        "sasl.enabled.mechanisms": List = "GSSAPI", Any, Medium, PerBroker, Later =>
            "SASL mechanisms that clients may use.";
        "sasl.server.callback.handler.class": Class = null, Any, Medium, ReadOnly, Refused =>
            "Java class that checks SASL credentials.";
        "sasl.client.callback.handler.class": Class = null, Any, Medium, ReadOnly, Refused =>
            "Java class that supplies SASL credentials.";
        "sasl.login.class": Class = null, Any, Medium, ReadOnly, Refused =>
            "Java class that logs in.";
        "sasl.login.callback.handler.class": Class = null, Any, Medium, ReadOnly, Refused =>
            "Java class that supplies login credentials.";
        "sasl.kerberos.service.name": String = null, Any, Medium, PerBroker, Later =>
            "Kerberos principal of the brokers.";
        "sasl.kerberos.kinit.cmd": String = "/usr/bin/kinit", Any, Medium, PerBroker, Later =>
            "Path of kinit.";
        "sasl.kerberos.ticket.renew.window.factor": Double = "0.8", Any, Medium, PerBroker, Later =>
            "Part of a ticket's life after which it is renewed.";
        "sasl.kerberos.ticket.renew.jitter": Double = "0.05", Any, Medium, PerBroker, Later =>
            "Random part added to that time.";
        "sasl.kerberos.min.time.before.relogin": Long = "60000", Any, Medium, PerBroker, Later =>
            "Shortest time between logins.";
        "sasl.kerberos.principal.to.local.rules": List = "DEFAULT", Any, Medium, PerBroker, Later =>
            "Rules that make a short name of a Kerberos principal.";
        "sasl.login.refresh.window.factor": Double = "0.8", Any, Medium, PerBroker, Later =>
            "Part of an OAUTHBEARER credential's life after which it is renewed.";
        "sasl.login.refresh.window.jitter": Double = "0.05", Any, Medium, PerBroker, Later =>
            "Random part added to that time.";
        "sasl.login.refresh.min.period.seconds": Short = "60", Any, Medium, PerBroker, Later =>
            "Shortest time between renewals of an OAUTHBEARER credential.";
        "sasl.login.refresh.buffer.seconds": Short = "300", Any, Medium, PerBroker, Later =>
            "Time before its end at which an OAUTHBEARER credential is renewed at the latest.";
    }
}

keys! {
    /// Delegation tokens and encrypted passwords.
    pub TOKENS {
        "delegation.token.master.key": Password = null, Any, Medium, ReadOnly, Later =>
            "Old name of `delegation.token.secret.key`.";
        "delegation.token.secret.key": Password = null, Any, Medium, ReadOnly, Later =>
            "Secret that signs delegation tokens, the same on all brokers; unset, there are none.";
        "delegation.token.max.lifetime.ms": Long = "604800000", AtLeast(1), Medium, ReadOnly, Later =>
            "Longest life of a delegation token, renewals included.";
        "delegation.token.expiry.time.ms": Long = "86400000", AtLeast(1), Medium, ReadOnly, Later =>
            "Life of a delegation token that is not renewed.";
        "delegation.token.expiry.check.interval.ms": Long = "3600000", AtLeast(1), Low, ReadOnly, Later =>
            "Time between searches for expired delegation tokens.";
        "password.encoder.secret": Password = null, Any, Medium, ReadOnly, Later =>
            "Secret that encrypts passwords kept in ZooKeeper.";
        "password.encoder.old.secret": Password = null, Any, Medium, ReadOnly, Later =>
            "Former secret, to read what was encrypted with it.";
        "password.encoder.keyfactory.algorithm": String = null, Any, Low, ReadOnly, Later =>
            "Key derivation for those passwords; unset, PBKDF2WithHmacSHA512.";
        "password.encoder.cipher.algorithm": String = "AES/CBC/PKCS5Padding", Any, Low, ReadOnly, Later =>
            "Cipher for those passwords.";
        "password.encoder.key.length": Int = "128", AtLeast(8), Low, ReadOnly, Later =>
            "Key length for those passwords.";
        "password.encoder.iterations": Int = "4096", AtLeast(1024), Low, ReadOnly, Later =>
            "Iterations of the key derivation for those passwords.";
    }
}

keys! {
    /// KRaft quorum.
    pub QUORUM {
        "controller.quorum.voters": List = "", Any, High, ReadOnly, Kraft =>
            "KRaft: voters of the controller quorum.";
        "controller.quorum.election.timeout.ms": Int = "1000", Any, High, ReadOnly, Kraft =>
            "KRaft: wait for a vote.";
        "controller.quorum.fetch.timeout.ms": Int = "2000", Any, High, ReadOnly, Kraft =>
            "KRaft: wait for the leader before an election.";
        "controller.quorum.election.backoff.max.ms": Int = "1000", Any, High, ReadOnly, Kraft =>
            "KRaft: longest pause between elections.";
        "controller.quorum.append.linger.ms": Int = "25", Any, Medium, ReadOnly, Kraft =>
            "KRaft: time for which appends are collected.";
        "controller.quorum.request.timeout.ms": Int = "2000", Any, Medium, ReadOnly, Kraft =>
            "KRaft: wait for an answer.";
        "controller.quorum.retry.backoff.ms": Int = "20", Any, Low, ReadOnly, Kraft =>
            "KRaft: pause before a retry.";
    }
}
