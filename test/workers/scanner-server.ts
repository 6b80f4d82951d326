// A scanner of images as an operator's might be, over real HTTP: what it answers stands in the image's name.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ScanRequest } from "../../contracts/image-policy.ts";

export const SCANNED_DIGEST = `sha256:${"5ca".repeat(21)}0`;

export async function startScanner(): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url !== "/scan") return answer(response, { allowed: true });
      judge(JSON.parse(Buffer.concat(chunks).toString()) as ScanRequest, response);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scan`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function judge(asked: ScanRequest, response: ServerResponse): void {
  const { image } = asked;
  // Kept open, and never answered.
  if (image.includes("slow")) return;
  if (image.includes("redirect")) return void response.writeHead(307, { location: "/elsewhere" }).end();
  if (image.includes("broken")) return void response.writeHead(500).end("{}");
  if (image.includes("vague")) return answer(response, { ok: true });
  if (image.includes("endless")) return void response.end(" ".repeat(1_000_000));
  if (image.includes("told")) return answer(response, { allowed: false, reason: JSON.stringify(asked) });
  if (image.includes("cve")) return answer(response, { allowed: false, reason: "CVE-2026-0001 in libx 1.2" });
  if (image.includes("found")) return answer(response, { allowed: true, digest: SCANNED_DIGEST });
  answer(response, { allowed: true });
}

function answer(response: ServerResponse, body: object): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}
