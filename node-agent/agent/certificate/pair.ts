// A certificate and its key: whether they are one pair, whose names it is for, and how long.
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { isIP } from "node:net";
import type { Life } from "../../../core/names/life.ts";

export interface Pair {
  /** Chain and key, PEM: what the gateway reads. */
  readonly pem: string;
  readonly life: Life;
  /** SHA-256, as the gateway names what it shows. */
  readonly fingerprint: string;
  /** In [0, 1), of the certificate itself. */
  readonly spread: number;
  readonly names: string;
  readonly issuer: string;
}

/** What the texts came from, for messages. */
export interface Sources {
  readonly cert: string;
  readonly key: string;
}

/** Throws with a message for people. The first certificate is the node's own; those behind it are its chain. */
export function readPair(cert: string, key: string, { cert: certFrom, key: keyFrom }: Sources): Pair {
  let own: X509Certificate;
  let secret: KeyObject;
  try {
    own = new X509Certificate(cert);
  } catch (error) {
    throw new Error(`${certFrom} holds no certificate in PEM: ${wordsOf(error)}`, { cause: error });
  }
  try {
    secret = createPrivateKey(key);
  } catch (error) {
    throw new Error(`${keyFrom} holds no private key in PEM, or one with a passphrase: ${wordsOf(error)}`, {
      cause: error,
    });
  }
  if (!own.checkPrivateKey(secret)) {
    throw new Error(`the key in ${keyFrom} is not the key of the certificate in ${certFrom}: they must be one pair`);
  }
  return {
    pem: `${cert.trim()}\n${key.trim()}\n`,
    life: { notBeforeMs: Date.parse(own.validFrom), notAfterMs: Date.parse(own.validTo) },
    fingerprint: own.fingerprint256,
    spread: Number.parseInt(own.fingerprint256.slice(0, 11).replaceAll(":", ""), 16) / 2 ** 32,
    names: own.subjectAltName ?? own.subject,
    issuer: own.issuer.replaceAll("\n", ", "),
  };
}

/** host: a name, or an address (with its brackets, where it has them). */
export function covers({ pem }: Pair, host: string): boolean {
  const own = new X509Certificate(pem);
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return (isIP(bare) === 0 ? own.checkHost(bare) : own.checkIP(bare)) !== undefined;
}

export const day = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
export const datesOf = ({ life }: Pair): string => `valid from ${day(life.notBeforeMs)} to ${day(life.notAfterMs)}`;

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 200);
