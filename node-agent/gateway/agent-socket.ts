// What the gateway answers its agent: `POST /reload`, `GET /counters` and `POST /hand-over`.
import { join } from "node:path";
import type { NodeId } from "../../contracts/ids.ts";
import { GATEWAY_SOCKET, type GatewayCounters, type ReloadAnswer } from "../endpoint-file.ts";
import type { Counters } from "./counters.ts";
import { type Door, openDoor } from "./door.ts";
import { HandOver } from "./hand-over.ts";

export interface AgentDoor {
  readonly counters: Counters;
  readonly version: string;
  readonly relays: () => readonly NodeId[];
  /** Answers what is known now, and throws when a file cannot be read. */
  readonly reload: () => Promise<ReloadAnswer>;
  /** Throws when the next one does not come up; then nothing has changed. */
  readonly handOver: (to: HandOver) => Promise<void>;
}

export function openAgentSocket(dir: string, door: AgentDoor): Promise<Door> {
  const { counters, version } = door;
  const count = (): GatewayCounters => {
    const { startId } = counters;
    return { startId, version, instances: counters.list(), relays: [...door.relays()] };
  };
  return openDoor(join(dir, GATEWAY_SOCKET), (question, body) => {
    switch (question) {
      case "GET /counters":
        return Promise.resolve(count());
      case "POST /reload":
        return door.reload();
      case "POST /hand-over":
        return handedOver(body, door.handOver);
      default:
        return null;
    }
  });
}

/** Answered once the next one serves. */
export async function handedOver(body: () => Promise<unknown>, handOver: AgentDoor["handOver"]): Promise<object> {
  await handOver(HandOver.parse(await body()));
  return {};
}
