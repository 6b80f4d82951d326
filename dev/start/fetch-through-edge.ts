// Asks the edge for a hostname by dialling its port: `*.localhost` does not resolve inside Node.
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const TRY_TIMEOUT_MS = 5_000;
const PAUSE_MS = 50;

export interface EdgeAnswer {
  readonly status: number;
  readonly body: string;
}

export function askEdge(edgePort: number, host: string, path = "/"): Promise<EdgeAnswer> {
  return new Promise((resolve, reject) => {
    const request = get(
      { host: "127.0.0.1", port: edgePort, path, headers: { host }, timeout: TRY_TIMEOUT_MS },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        response.on("error", reject);
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer within ${TRY_TIMEOUT_MS} ms`)));
    request.on("error", reject);
  });
}

/** The body of the first 200, for which it waits; else an error with the last answer. */
export async function fetchThroughEdge(
  edgePort: number,
  host: string,
  { withinMs }: { readonly withinMs: number },
): Promise<string> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    let last: string;
    try {
      const { status, body } = await askEdge(edgePort, host);
      if (status === 200) return body;
      last = `${status} ${body.trim().slice(0, 300)}`;
    } catch (error) {
      last = (error as Error).message;
    }
    if (performance.now() > deadlineMs)
      throw new Error(`http://${host}:${edgePort}/ did not answer within ${withinMs / 1000} s; last: ${last}`);
    await sleep(PAUSE_MS);
  }
}
