// The pipeline's look at known holes, against a registry that says what the test wants.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../.ci/advisories", import.meta.url));
const LIST = "/-/npm/v1/security/advisories/bulk";
let server: Server;
let registry = "";
/** What the registry knows of hono; null: it has no list at all. */
let severity: "moderate" | "high" | null = null;
let asked: Record<string, string[]> = {};

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const isList = request.url === LIST && severity !== null;
      if (!isList) return response.writeHead(request.url === LIST ? 405 : 404).end();
      const body = Buffer.concat(chunks);
      asked = JSON.parse((request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString());
      const hole = { id: 1, url: "https://holes.test/1", title: "a hole", severity, vulnerable_versions: "*", cwe: [] };
      const cvss = { score: 9, vectorString: null };
      return response.setHeader("content-type", "application/json").end(JSON.stringify({ hono: [{ ...hole, cvss }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

function look(known: typeof severity): Promise<{ exitCode: number | null; said: string }> {
  severity = known;
  // npm keeps what it was told of a hole: the next test's is another one.
  const cache = mkdtempSync(join(tmpdir(), "berth-advisories-"));
  const args = [`--registry=${registry}`, `--cache=${cache}`, "--fetch-retries=0"];
  const child = spawn(SCRIPT, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) =>
    child.on("close", (exitCode) => {
      rmSync(cache, { recursive: true, force: true });
      resolve({ exitCode, said });
    }),
  );
}

test("a known hole of high severity fails it, and is named; what is installed is what was asked about", async () => {
  expect(await look("high")).toEqual({
    exitCode: 1,
    said: "advisories: high: hono: a hole (https://holes.test/1)\n",
  });
  expect(asked.hono).toHaveLength(1);
  expect(Object.keys(asked).length).toBeGreaterThan(100);
});

test("lesser ones do not, and a registry that has no list is said to have none", async () => {
  expect(await look("moderate")).toEqual({ exitCode: 0, said: "advisories: none of high severity\n" });
  expect(await look(null)).toMatchObject({ exitCode: 0, said: expect.stringContaining("no list of them (405)") });
});
