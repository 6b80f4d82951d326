// The ingress alone as a process: what `berth-agent ingress` runs, without an agent. argv: JSON {dir, node, key}, key a private JWK.
import { importJWK, type CryptoKey, type JWK } from "jose";
import type { NodeId } from "../../contracts/ids.ts";
import { runIngress } from "../../node-agent/ingress/run.ts";

const wish = JSON.parse(process.argv[2] ?? "{}") as { dir: string; node: NodeId; key: JWK };
const quiet = { info: () => undefined, warn: () => undefined };
const ingress = await runIngress({
  ...{ dir: wish.dir, node: wish.node, signKey: (await importJWK(wish.key, "EdDSA")) as CryptoKey },
  ...{ host: "127.0.0.1", tlsPort: 0, plainPort: 0, certificates: null, log: quiet, version: "bench" },
});
process.stdout.write(`${ingress.plainPort}\n`);
// Ends with whoever started it, even if that was killed.
process.stdin.resume().once("end", () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
