// Visits of an ingress over TLS, each on a connection of its own.
import type { IncomingMessage } from "node:http";
import type { IncomingHttpHeaders } from "node:http2";
import { request } from "node:https";

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
}
export interface Wish {
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

export function answerOf(answer: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let body = "";
    answer.setEncoding("utf8").on("data", (part: string) => (body += part));
    answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body, headers: answer.headers }));
    answer.on("error", reject);
  });
}

export function visitOver(port: number, ca: string, wish: Wish = {}): Promise<Answer> {
  const { host = "shop.apps.test", path = "/", method = "GET", body, headers = {} } = wish;
  return new Promise((resolve, reject) => {
    const at = { host: "127.0.0.1", port, servername: host, ca, agent: false as const };
    const sent = request({ ...at, path, method, headers: { host, ...headers } }, (answer) => {
      answerOf(answer).then(resolve, reject);
    });
    sent.on("error", reject).end(body);
  });
}
