// A certificate authority for tests, and certificates by it: of any names and any dates.
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  cryptoProvider,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type X509Certificate,
} from "@peculiar/x509";

type KeyPair = webcrypto.CryptoKeyPair;

const crypto = webcrypto;
cryptoProvider.set(crypto as never);
const EC = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;
let serial = 0;

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssueWish {
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

export interface Authority {
  /** PEM, for `ca` and NODE_EXTRA_CA_CERTS. */
  readonly ca: string;
  issue(wish: IssueWish): Promise<Issued>;
}

const makeKeys = () => crypto.subtle.generateKey(EC, true, ["sign", "verify"]) as Promise<KeyPair>;
const serialNumber = () => String((serial += 1)).padStart(4, "0");

async function pemOfKey({ privateKey }: KeyPair): Promise<string> {
  return PemConverter.encode(await crypto.subtle.exportKey("pkcs8", privateKey), "PRIVATE KEY");
}

export async function makeAuthority(): Promise<Authority> {
  const keys = await makeKeys();
  const root: X509Certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: "CN=Test authority",
    notBefore: new Date(Date.now() - 24 * HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    signingAlgorithm: EC,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 1, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    ca: root.toString("pem"),
    async issue({ names, notBeforeMs = Date.now() - HOUR_MS, notAfterMs = Date.now() + HOUR_MS }) {
      const own = await makeKeys();
      const certificate = await X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: `CN=${names[0]}`,
        issuer: root.subject,
        notBefore: new Date(notBeforeMs),
        notAfter: new Date(notAfterMs),
        signingAlgorithm: EC,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new SubjectAlternativeNameExtension(
            names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? ("ip" as const) : ("dns" as const), value })),
          ),
        ],
      });
      return { cert: `${certificate.toString("pem")}\n`, key: `${await pemOfKey(own)}\n` };
    },
  };
}
