// The pages that letters lead to: their headers, forms of other sites, and what goes wrong said on the page.
import { describe, expect, it } from "vitest";
import { controlEnv, request } from "./control-env.ts";

const ORIGIN = "https://berth.test";
(controlEnv as { CONTROL_ORIGIN?: string }).CONTROL_ORIGIN = ORIGIN;
const send = (path: string, fields: Record<string, string>, headers: Record<string, string>) =>
  request(path, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    body: new URLSearchParams(fields).toString(),
  });

describe("a page of a letter", () => {
  it("may not be framed, cached or made to run anything, and fits a phone", async () => {
    const answer = await request("/account/verify?token=%22%3E%3Cscript%3E");
    const text = await answer.text();
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(text).toContain("width=device-width");
    expect(text, "what the link brings is text").not.toContain("<script");
  });

  it("takes no form of another site", async () => {
    const fields = { email: "ann@example.com" };
    const foreign = await send("/account/forgotten", fields, { origin: "https://evil.test" });
    expect(foreign.status).toBe(403);
    const silent = await send("/account/forgotten", fields, {});
    expect(silent.status).toBe(403);
  });

  it("says what is wrong with a form, and what is away", async () => {
    const short = await send("/account/reset", { token: "x".repeat(24), password: "short" }, { origin: ORIGIN });
    expect(short.status).toBe(400);
    expect(await short.text()).toContain("password");
    const away = await send("/account/forgotten", { email: "ann@example.com" }, { origin: ORIGIN });
    expect(away.status).toBe(503);
    expect(await away.text()).toContain("database");
  });
});
