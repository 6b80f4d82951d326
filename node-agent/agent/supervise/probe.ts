// Asking an instance how it is, over HTTP or TCP.
import { request } from "node:http";
import { connect } from "node:net";
import type { Probe } from "../../../contracts/release.ts";

export interface Asked {
  readonly host: string;
  readonly port: number;
  readonly signal: AbortSignal;
  /** A connection that is not there by then is given up. */
  readonly connectWithinMs: number;
}

/** Null for a success, else what was wrong. Never throws; ends within the probe's time-out. */
export function probe(how: Probe, asked: Asked): Promise<string | null> {
  return how.kind === "http" ? probeHttp(how, asked) : probeTcp(how, asked);
}

function probeHttp(how: Extract<Probe, { kind: "http" }>, wanted: Asked): Promise<string | null> {
  const { host, port, signal, connectWithinMs } = wanted;
  return new Promise((resolve) => {
    const asked = request({
      host,
      port,
      path: how.path,
      method: "GET",
      agent: false,
      signal,
      headers: { host: `${host}:${port}`, "user-agent": "berth-probe", connection: "close" },
    });
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${how.timeoutMs} ms`)), how.timeoutMs);
    const notAccepted = () => asked.destroy(new Error(`not accepted within ${connectWithinMs} ms`));
    const connecting = connectWithinMs < how.timeoutMs ? setTimeout(notAccepted, connectWithinMs) : undefined;
    const end = (fault: string | null) => {
      clearTimeout(timer);
      clearTimeout(connecting);
      resolve(fault);
      asked.destroy();
    };
    asked.on("socket", (socket) => socket.once("connect", () => clearTimeout(connecting)));
    asked.on("response", ({ statusCode = 0 }) => {
      end(statusCode >= 200 && statusCode < 400 ? null : `GET ${how.path} on port ${port} answered ${statusCode}`);
    });
    asked.on("error", (error) => end(`GET ${how.path} on port ${port}: ${error.message}`));
    asked.end();
  });
}

function probeTcp(how: Extract<Probe, { kind: "tcp" }>, wanted: Asked): Promise<string | null> {
  const { host, port, signal } = wanted;
  const withinMs = Math.min(how.timeoutMs, wanted.connectWithinMs);
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (fault: string | null) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socket.destroy();
      resolve(fault);
    };
    const abort = () => end("given up");
    const timer = setTimeout(() => end(`port ${port} was not accepted within ${withinMs} ms`), withinMs);
    signal.addEventListener("abort", abort);
    socket.once("connect", () => end(null));
    socket.once("error", (error) => end(`port ${port}: ${error.message}`));
  });
}
