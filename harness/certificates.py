"""Certificates made for one run: a small authority, and what it vouches for.

They have all that RFC 5280 asks of them (4.2.1), without which Python from 3.13 on believes none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID_FOR = timedelta(days=30)  # a deployment that is kept on purpose lives no longer
_EARLIER = timedelta(hours=1)  # clocks of two machines differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its private key, both in PEM; the key is not shown."""

    certificate: str
    key: str

    def __repr__(self) -> str:
        return "Certificate()"


class Authority:
    """Signs the certificates of one run. Its own key is never written down."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = _name("wireguard-harness")
        builder = _builder(name, name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_signs_certificates(), critical=True)
        self._own = self._signed(builder)

    def _signed(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(by, critical=False).sign(self._key, hashes.SHA256())

    @property
    def certificate(self) -> str:
        """What to trust, in PEM."""
        return _pem(self._own)

    def issue(self, *names: str) -> Certificate:
        """A certificate for host names and addresses, good for either end of a connection."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(names[0]), self._own.subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(each) for each in names]), False)  # noqa: FBT003 (cryptography's own)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        signed = self._signed(builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(certificate=_pem(signed), key=private.decode())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signs_certificates() -> x509.KeyUsage:
    uses = {
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    }
    return x509.KeyUsage(**{use: use == "key_cert_sign" for use in uses})


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
