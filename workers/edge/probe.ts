// Asks a node's gateway whether it is there, in two ways at once: by its own answer, and by its host's.
import { connect } from "cloudflare:sockets";
import type { NodeId } from "../../contracts/ids.ts";
import { healthUrl } from "../../contracts/relay.ts";
import type { Presence } from "../../core/routing/presence.ts";

/** A connection opened while this isolate was not running is seen only when it runs again, and its timer may be seen first. */
const LAST_LOOK_MS = 50;

export async function presenceOf(gatewayUrl: string, node: NodeId, timeoutMs: number): Promise<Presence> {
  const opened = takesConnections(new URL(gatewayUrl), timeoutMs);
  if (await answersHealth(healthUrl(gatewayUrl, node), timeoutMs)) return "answers";
  return (await opened) ? "busy" : "silent";
}

async function answersHealth(url: string, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    // Refused, reset or silent: all the same here.
    return false;
  }
}

/** False as well where a Worker may open no connection (a tunnel's hostname is Cloudflare's own): only the answer counts there. */
async function takesConnections({ hostname, port, protocol }: URL, timeoutMs: number): Promise<boolean> {
  try {
    const socket = connect({ hostname, port: Number(port || (protocol === "https:" ? 443 : 80)) });
    socket.closed.catch(() => undefined);
    const opened = socket.opened.then(
      () => true,
      () => false,
    );
    const late = pause(timeoutMs).then(() => pause(LAST_LOOK_MS));
    const there = await Promise.race([opened, late.then(() => false)]);
    void socket.close().catch(() => undefined);
    return there;
  } catch {
    return false;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
