// One ingress hands all its ports to the next, in the gateway's way (gateway/hand-over.ts); its agent asks for it at a door of its own.
import type { Server } from "node:net";
import { join } from "node:path";
import { handedOver } from "../gateway/agent-socket.ts";
import { type Door, openDoor } from "../gateway/door.ts";
import { startNext } from "../gateway/hand-over.ts";

export const INGRESS_SOCKET = "ingress.sock";
export const INGRESS_LOG = "ingress.log";

/** Descriptors of listening sockets by their ports. */
export type ListenFds = ReadonlyMap<number, number>;

/** As an argument: `443=3,80=4`. */
export const formatFds = (fds: ListenFds): string => [...fds].map(([port, fd]) => `${port}=${fd}`).join(",");
export const parseFds = (text: string): ListenFds =>
  new Map(text.split(",").map((pair) => pair.split("=", 2).map(Number) as [number, number]));

export interface Handing {
  readonly dir: string;
  readonly version: string;
  readonly handedOver?: () => void;
}

/** `GET /version` and `POST /hand-over`. */
export function openIngressDoor(
  { dir, version, handedOver: told }: Handing,
  listening: () => ReadonlyMap<number, Server>,
): Promise<Door> {
  let isUnderWay = false;
  const handOver = async (to: Parameters<typeof startNext>[0]): Promise<void> => {
    if (isUnderWay) throw new Error("another ingress takes over already");
    isUnderWay = true;
    const servers = [...listening()];
    const flags = (fds: readonly number[]): string[] => [
      "--ingress-fds",
      formatFds(new Map(servers.map(([port], at) => [port, fds[at] as number]))),
    ];
    const handing = {
      what: "ingress",
      logPath: join(dir, INGRESS_LOG),
      servers: servers.map(([, server]) => server),
      flags,
    };
    await startNext(to, handing).finally(() => (isUnderWay = false));
    told?.();
  };
  return openDoor(join(dir, INGRESS_SOCKET), (question, body) => {
    if (question === "GET /version") return Promise.resolve({ version });
    return question === "POST /hand-over" ? handedOver(body, handOver) : null;
  });
}
