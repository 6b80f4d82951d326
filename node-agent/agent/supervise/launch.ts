// From a desired instance to a running unit: environment, image or bundle, then the start itself.
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { NO_SECRETS } from "../link/asks.ts";
import { withSecretNames } from "../runtime/platform-environment.ts";
import { type OnProgress, StartFailed, type Unit } from "../runtime/runtime.ts";
import type { SupervisePorts } from "./ports.ts";

/** begins: awaited before anything of it can run. Throws StartFailed, EngineAway or Refused. */
export async function launch(
  ports: SupervisePorts,
  desired: DesiredInstance,
  onProgress: OnProgress,
  signal: AbortSignal,
  begins: () => Promise<void>,
): Promise<Unit> {
  const { asks, runtime, starts, gatewayPort, platformEnvironment } = ports;
  // Whoever had it while the gateway is being replaced would get other tenants' visitors, tickets and all (invariant 8).
  if (desired.hostPorts.includes(gatewayPort)) {
    throw new StartFailed("start_failed", `port ${gatewayPort} of this node is its gateway's: no instance can have it`);
  }
  const asking = desired.hasEnvironment || desired.privateImage ? asks.secrets(desired, signal) : NO_SECRETS;
  // A public image is looked for while the environment is on its way; a private one needs the credential first.
  const credential = desired.privateImage ? (await asking).pullCredential : null;
  const [prepared, secrets] = await Promise.all([runtime.prepare(desired, credential, onProgress, signal), asking]);
  return starts.run(async () => {
    signal.throwIfAborted();
    await begins();
    const platform = withSecretNames(platformEnvironment(desired), secrets.environment);
    return runtime.launch(desired, prepared, secrets, platform);
  });
}
