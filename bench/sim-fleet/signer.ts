// A simulated node's keys and its proofs, as contracts/agent-protocol.ts has them; signed in-process so that load stays cheap.
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { PROOF_TYP, type ProofClaims } from "../../contracts/agent-protocol.ts";

const NONE: Readonly<Record<ProofClaims["lane"], number>> = { poll: 0, heartbeat: 0, ask: 0, socket: 0 };
const newBoot = (): string => `bench-${randomBytes(8).toString("hex")}`;

export class Signer {
  readonly signKey: string;
  readonly sealKey: string;
  readonly #key: KeyObject;
  readonly #header: string;
  #boot = newBoot();
  #seq: Record<ProofClaims["lane"], number> = { ...NONE };

  constructor() {
    const signing = generateKeyPairSync("ed25519");
    this.#key = signing.privateKey;
    this.signKey = publicX(signing.publicKey);
    this.sealKey = publicX(generateKeyPairSync("x25519").publicKey);
    const jwk = { kty: "OKP", crv: "Ed25519", x: this.signKey };
    this.#header = encoded({ alg: "EdDSA", typ: PROOF_TYP, jwk });
  }

  /** The agent was started again. */
  restart(): void {
    this.#boot = newBoot();
    this.#seq = { ...NONE };
  }

  nextSeq(lane: ProofClaims["lane"]): number {
    return ++this.#seq[lane];
  }

  /** For a request with this body to this path. The host's clock is the control plane's here. */
  proof(lane: ProofClaims["lane"], path: string, body: string, method: "GET" | "POST" = "POST"): string {
    const claims: ProofClaims = {
      htm: method,
      htu: path,
      bh: createHash("sha256").update(body).digest("base64url"),
      iatMs: Date.now(),
      jti: randomBytes(12).toString("base64url"),
      boot: this.#boot,
      lane,
      seq: this.nextSeq(lane),
    };
    const signed = `${this.#header}.${encoded(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), this.#key).toString("base64url")}`;
  }
}

function publicX(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  if (x === undefined) throw new Error("the key has no x");
  return x;
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
