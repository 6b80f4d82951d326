// What a Worker fetches because a user named it: looked up over HTTPS before, redirects only through the guard, answers of bounded length.
import { describe, expect, inject, it } from "vitest";
import { boundedText, guardedFetch, OutboundRefused } from "../../workers/control/outbound/guarded-fetch.ts";
import { records } from "./domain-world.ts";

const { dohUrl, brokenDohUrl, tellUrl } = inject("outside");
/** Loopback is open, as in a local stack, and nothing else that is not the internet. */
const local = { OUTBOUND_ALLOW: "127.0.0.0/8", DOH_URL: dohUrl };
const within = { timeoutMs: 60_000 };

async function ruleOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof OutboundRefused)) throw new Error(`not refused: ${String(error)}`);
  return error.rule;
}
const redirect = (to: string, status = 302) => `${tellUrl}/redirect?status=${status}&to=${encodeURIComponent(to)}`;

describe("the guard of a Worker", () => {
  it("fetches from what is open", async () => {
    const answer = await guardedFetch(local, `${tellUrl}/echo`, within);
    expect(await answer.json()).toMatchObject({ method: "GET" });
  });

  it("sends nothing to loopback where no setting opens it", async () => {
    expect(await ruleOf(guardedFetch({ DOH_URL: dohUrl }, `${tellUrl}/echo`, { ...within, plainHttp: true }))).toBe(
      "closed_address",
    );
  });

  it("asks the DNS first: a name that leads into a private network, or to one beside a public address, is not fetched", async () => {
    await records("inside.example.test", "A", "10.0.0.5");
    await records("mixed.example.test", "A", "93.184.215.14");
    await records("mixed.example.test", "AAAA", "fd00::5");
    await records("alias.example.test", "CNAME", "inside.example.test");
    for (const name of ["inside", "mixed", "alias"]) {
      expect(await ruleOf(guardedFetch(local, `https://${name}.example.test/`, within)), name).toBe("closed_address");
    }
    expect(await ruleOf(guardedFetch(local, "https://nothing.example.test/", within))).toBe("no_address");
  });

  it("fetches nothing while the resolver cannot say where a name leads", async () => {
    const env = { ...local, DOH_URL: brokenDohUrl };
    expect(await ruleOf(guardedFetch(env, "https://hooks.example.com/", within))).toBe("dns");
  });

  it("follows a redirect only to what the guard lets through, wherever it leads", async () => {
    expect(await (await guardedFetch(local, redirect(`${tellUrl}/echo`), within)).json()).toMatchObject({
      method: "GET",
    });
    expect(await ruleOf(guardedFetch(local, redirect("http://169.254.169.254/latest/"), within))).toBe(
      "closed_address",
    );
    expect(await ruleOf(guardedFetch(local, redirect("https://[::ffff:a9fe:a9fe]/", 307), within))).toBe(
      "closed_address",
    );
    expect(await ruleOf(guardedFetch(local, redirect("file:///etc/passwd"), within))).toBe("scheme");
    expect(await ruleOf(guardedFetch(local, redirect("https://inside.example.test/"), within))).toBe("closed_address");
    // To itself, for ever.
    const loop = "/redirect?to=";
    const deep = [1, 2, 3, 4].reduce((to) => loop + encodeURIComponent(to), "/echo");
    expect(await ruleOf(guardedFetch(local, tellUrl + deep, within))).toBe("redirects");
  });

  it("posts to the URL that was named and to no other", async () => {
    const post = { ...within, method: "POST", body: "{}" } as const;
    expect(await ruleOf(guardedFetch(local, redirect(`${tellUrl}/echo`, 307), post))).toBe("redirects");
  });

  it("takes no credential along to another origin", async () => {
    const headers = { authorization: "Bearer secret", cookie: "a=b", accept: "application/json" };
    const elsewhere = tellUrl.replace("127.0.0.1", "localhost");
    const env = { ...local, OUTBOUND_ALLOW: "127.0.0.0/8,localhost" };
    const there = await guardedFetch(env, redirect(`${elsewhere}/echo`), { ...within, headers });
    const seen = (await there.json()) as { headers: Record<string, string> };
    expect(seen.headers.accept).toBe("application/json");
    expect([seen.headers.authorization, seen.headers.cookie]).toEqual([undefined, undefined]);
    const same = await guardedFetch(env, redirect("/echo"), { ...within, headers });
    expect(((await same.json()) as typeof seen).headers.authorization).toBe("Bearer secret");
  });

  it("reads no more of an answer than it was told to", async () => {
    const answer = await guardedFetch(local, `${tellUrl}/echo`, within);
    expect(await ruleOf(boundedText(answer, 8))).toBe("too_long");
  });

  it("opens nothing by a setting that it cannot read", async () => {
    await expect(guardedFetch({ OUTBOUND_ALLOW: "10.0.0.0/99" }, "https://example.com/", within)).rejects.toThrow(
      "OUTBOUND_ALLOW: 10.0.0.0/99 is not",
    );
  });
});
