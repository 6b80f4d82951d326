// The end of an instance's unit: requests in flight get the grace first, then the process gets it too.
import type { InstanceId } from "../../../contracts/ids.ts";
import { pause } from "../link/pause.ts";
import type { Unit } from "../runtime/runtime.ts";
import type { SupervisePorts } from "./ports.ts";

const STORE_AGAIN_MS = 1_000;

type About = { readonly instance: InstanceId; readonly generation: number };

/** Resolves once no request is open at the gateway any more, or graceMs are over. */
export async function requestsEnd({ gateway }: SupervisePorts, about: About, graceMs: number): Promise<void> {
  const untilMs = performance.now() + graceMs;
  while (performance.now() < untilMs) {
    const counters = await gateway.counters();
    const mine = counters?.instances.find(
      ({ instance, generation }) => instance === about.instance && generation === about.generation,
    );
    if ((mine?.open ?? 0) === 0) return;
    await pause(50);
  }
}

/** Stopping is the one thing that is never given up, however long the Engine is away. Its exit code, if known. */
export async function endUnit(ports: SupervisePorts, unit: Unit, graceMs: number): Promise<number | null> {
  const { runtime, meter, log } = ports;
  for (let failures = 0; ; failures += 1) {
    try {
      if (unit.exit === null) meter.run(unit, Date.now() - unit.startedAtMs, await runtime.usage(unit));
      return await runtime.stop(unit, graceMs);
    } catch (error) {
      log.warn({ instance: unit.instance, error: String(error) }, "a stop is tried again");
      await pause(Math.min(5_000, 200 * 2 ** Math.min(failures, 10)));
    }
  }
}

/** Stop is final: on disk before it is told, however long the disk takes nothing. */
export async function storeStop(ports: SupervisePorts, { instance, generation }: About): Promise<void> {
  for (;;) {
    try {
      return await ports.store.markStopped(instance, generation);
    } catch (error) {
      ports.log.error({ instance, error: String(error) }, "a stop cannot be stored yet");
      await pause(STORE_AGAIN_MS);
    }
  }
}
