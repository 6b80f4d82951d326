// What the API says to requests that are wrong before anybody needs to be known.
import { describe, expect, it } from "vitest";
import { Problem } from "../../contracts/failures.ts";
import { request } from "./control-env.ts";

const json = { "content-type": "application/json" };

async function problem(answer: Response): Promise<Problem> {
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  const body = Problem.parse(await answer.json());
  expect(body.status).toBe(answer.status);
  expect(answer.headers.get("x-request-id")).toBe(body.requestId);
  return body;
}

describe("a wrong request", () => {
  it("to an unknown path is a 404 problem", async () => {
    expect(await problem(await request("/nowhere"))).toMatchObject({ status: 404, code: "not_found" });
  });

  it("with a method that the path does not take is a 405 that names those it takes", async () => {
    const answer = await request("/v1/sign-in", { method: "DELETE" });
    expect(await problem(answer)).toMatchObject({ status: 405, code: "method_not_allowed" });
    expect(answer.headers.get("allow")).toBe("POST");
  });

  it("without a token is a 401 before its body is read", async () => {
    const answer = await request("/v1/apps", { method: "POST", headers: json, body: "{ not json" });
    expect(await problem(answer)).toMatchObject({ status: 401, code: "unauthenticated" });
    expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  it("with a body that is not JSON is a 400 that does not quote it", async () => {
    const answer = await request("/v1/sign-in", {
      method: "POST",
      headers: json,
      body: '{"password": hunter2-hunter2',
    });
    const body = await problem(answer);
    expect(body).toMatchObject({ status: 400, code: "malformed_json", errors: [{ pointer: "", rule: "json" }] });
    expect(JSON.stringify(body)).not.toContain("hunter2");
  });

  it("with another content type is a 415", async () => {
    const answer = await request("/v1/sign-in", {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "{}",
    });
    expect(await problem(answer)).toMatchObject({ status: 415, code: "unsupported_media_type" });
  });

  it("with a body above 1 MB is a 413, whether it says its length or not", async () => {
    const text = JSON.stringify({ email: "a@b.co", password: "x".repeat(1_100_000) });
    const said = await request("/v1/sign-in", { method: "POST", headers: json, body: text });
    expect(await problem(said)).toMatchObject({ status: 413, code: "payload_too_large" });
    const streamed = await request("/v1/sign-in", { method: "POST", headers: json, body: new Blob([text]).stream() });
    expect(await problem(streamed)).toMatchObject({ status: 413, code: "payload_too_large" });
  });

  it("with wrong and unknown fields is a 400 that names each place and rule, and no value", async () => {
    const sent = { email: "not an address", password: "short", name: 7, admin: "let-me-in" };
    const answer = await request("/v1/sign-up", { method: "POST", headers: json, body: JSON.stringify(sent) });
    const body = await problem(answer);
    expect(body).toMatchObject({ status: 400, code: "invalid_request" });
    expect(body.errors?.map(({ pointer, rule }) => `${pointer} ${rule}`).sort()).toEqual([
      "/admin unknown_field",
      "/email format:email",
      "/name type:string",
      "/password min:10",
    ]);
    expect(JSON.stringify(body)).not.toMatch(/short|not an address|let-me-in/);
  });

  it("with an empty body names what is missing", async () => {
    const answer = await request("/v1/sign-in", { method: "POST", headers: json, body: "{}" });
    const body = await problem(answer);
    expect(body.errors?.map(({ pointer }) => pointer)).toEqual(["/email", "/password"]);
  });
});

describe("every answer", () => {
  it("carries the request id that the caller gave", async () => {
    const answer = await request("/healthz", { headers: { "x-request-id": "abc-123" } });
    expect(answer.headers.get("x-request-id")).toBe("abc-123");
  });

  it("carries one of ours where the caller's could not be an id", async () => {
    const answer = await request("/healthz", { headers: { "x-request-id": "a b\tc" } });
    expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("says 503 and when to come back while the database is away", async () => {
    const answer = await request("/v1/whoami", { headers: { authorization: `Bearer berth_${"x".repeat(43)}` } });
    expect(await problem(answer)).toMatchObject({ status: 503, code: "database_unavailable" });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });
});
