// Which images may run: registries by whole parts of their names, digests, bundles, and a scanner's word or silence.
import { expect, test } from "vitest";
import { ImagePolicy, Scanner, TeamImagePolicy } from "../../contracts/image-policy.ts";
import { judgeScan, judgeSource, type Judgement } from "../../core/images/judge.ts";

const image = (repository: string, digest: string | null = null) => ({ repository, digest });
const policy = (more: Record<string, unknown>, whose: "installation" | "team" = "installation") => ({
  whose,
  policy: TeamImagePolicy.parse(more),
});
const NGINX = image("docker.io/library/nginx");

test("a registry is allowed by whole parts of its name, and by nothing that only begins alike", () => {
  const held = [policy({ registries: ["ghcr.io/acme", "registry.local:5000"] })];
  for (const [repository, allowed] of [
    ["ghcr.io/acme/web", true],
    ["ghcr.io/acme/tools/web", true],
    ["ghcr.io/acme", true],
    ["registry.local:5000/web", true],
    ["ghcr.io/acme-evil/web", false],
    ["ghcr.io/other/web", false],
    ["ghcr.io.evil.net/acme/web", false],
    ["registry.local/web", false],
    ["docker.io/library/nginx", false],
  ] as const) {
    const judged = judgeSource(image(repository), held).kind;
    expect([repository, judged]).toEqual([repository, allowed ? "allowed" : "refused"]);
  }
});

test("a team can only say no to more than the installation does", () => {
  const both = [policy({ registries: ["ghcr.io"] }), policy({ registries: ["ghcr.io/acme", "docker.io"] }, "team")];
  expect(judgeSource(image("ghcr.io/acme/web"), both).kind).toBe("allowed");
  expect(judgeSource(NGINX, both)).toMatchObject({
    rule: "registries",
    message: expect.stringContaining("the installation's image policy allows images from ghcr.io only"),
  });
  expect(judgeSource(image("ghcr.io/other/web"), both)).toMatchObject({
    message: expect.stringContaining("the team's image policy"),
  });
});

test("a policy that wants digests takes nothing that may change under its name", () => {
  const held = [policy({ requireDigest: true })];
  expect(judgeSource(NGINX, held)).toMatchObject({ rule: "require_digest" });
  expect(judgeSource({ ...NGINX, digest: "sha256:aa" }, held).kind).toBe("allowed");
});

test("a bundle comes from no registry, and is refused where images alone are taken", () => {
  expect(judgeSource(null, [policy({ registries: ["ghcr.io"], requireDigest: true })]).kind).toBe("allowed");
  expect(judgeSource(null, [policy({}), policy({ bundles: false }, "team")])).toMatchObject({ rule: "bundles" });
  expect(judgeSource(NGINX, [policy({ bundles: false })]).kind).toBe("allowed");
});

test("a scanner's refusal is told with its reason, and its silence refuses unless the policy says otherwise", () => {
  const said = (answer: Parameters<typeof judgeScan>[1], more: object = {}, of = NGINX): Judgement =>
    judgeScan(Scanner.parse({ url: "https://scan.example.com/", ...more }), answer, of);
  expect(said({ allowed: true }).kind).toBe("allowed");
  expect(said({ allowed: false, reason: "CVE-2026-1" })).toMatchObject({
    rule: "scanner",
    message: expect.stringContaining("CVE-2026-1"),
  });
  expect(said(null)).toMatchObject({ kind: "refused", rule: "scanner_away" });
  expect(said(null, { ifAway: "accept" }).kind).toBe("allowed");
  // A scanner's silence may be passed over, its refusal never.
  expect(said({ allowed: false, reason: "no" }, { ifAway: "accept" }).kind).toBe("refused");
  const [one, other] = ["a", "b"].map((letter) => `sha256:${letter.repeat(64)}`) as [string, string];
  expect(said({ allowed: true, digest: other }, {}, { ...NGINX, digest: one })).toMatchObject({ rule: "scanner" });
  expect(said({ allowed: true, digest: one }, {}, { ...NGINX, digest: one }).kind).toBe("allowed");
});

test("a policy with a mistyped registry, or a scanner that anybody on the way could answer for, is refused", () => {
  for (const bad of [
    { registries: ["https://ghcr.io"] },
    { registries: [] },
    { registries: ["GHCR.io"] },
    { registry: ["ghcr.io"] },
    { scanner: { url: "http://scan.example.com/" } },
    { scanner: { url: "https://user:secret@scan.example.com/" } },
    { scanner: { url: "scan.example.com" } },
    { scanner: { url: "https://scan.example.com/", timeoutMs: 60_000 } },
  ]) {
    expect(ImagePolicy.safeParse(bad).success, JSON.stringify(bad)).toBe(false);
  }
  const local = { scanner: { url: "http://127.0.0.1:8080/scan" } };
  expect(ImagePolicy.parse(local).scanner).toMatchObject({ timeoutMs: 10_000, ifAway: "refuse" });
  expect(TeamImagePolicy.safeParse(local).success, "a team has no scanner of its own").toBe(false);
});
