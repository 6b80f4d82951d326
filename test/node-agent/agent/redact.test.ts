// Secrets in log lines: which forms of a value are found, and what is left alone.
import { describe, expect, it } from "vitest";
import { redactorOf } from "../../../node-agent/agent/logs/redact.ts";
import { SECRET_NAMES, withSecretNames } from "../../../node-agent/agent/runtime/platform-environment.ts";

const started = (secrets: Record<string, string>, more: Record<string, string> = {}) =>
  redactorOf(new Map(Object.entries({ ...more, ...secrets, ...withSecretNames({}, secrets) })));
const TOKEN = "s3cr3t(token)+/=";

describe("a value in a line", () => {
  it.each([
    ["as it is", TOKEN, `got ${TOKEN} from it`, "got [TOKEN redacted] from it"],
    ["more than once", TOKEN, `${TOKEN}${TOKEN}`, "[TOKEN redacted][TOKEN redacted]"],
    ["in a URL", "a b/c?d&e=f", `/x?token=${encodeURIComponent("a b/c?d&e=f")}`, "/x?token=[TOKEN redacted]"],
    ["in JSON", 'say "hello"', JSON.stringify({ at: 'say "hello"' }), '{"at":"[TOKEN redacted]"}'],
    ["in base64", TOKEN, Buffer.from(TOKEN).toString("base64"), "[TOKEN redacted]"],
    ["as the password of a URL", "postgres://u:p%40ssword1@db/x", "user u, p@ssword1", "user u, [TOKEN redacted]"],
    ["as one of its lines", "-----BEGIN-----\nMIIBOgIBAAJBAK\n", "line MIIBOgIBAAJBAK", "line [TOKEN redacted]"],
  ])("is replaced %s", (_, value, line, told) => {
    expect(started({ TOKEN: value })(line)).toBe(told);
  });

  it("is replaced whole where it holds another one", () => {
    const redact = started({ PART: "password1", WHOLE: "user:password1@host" });
    expect(redact("user:password1@host and password1")).toBe("[WHOLE redacted] and [PART redacted]");
  });

  it("is replaced beside others that are too long to be looked for as a whole, of which the lines are", () => {
    const lines = Array.from({ length: 4_000 }, (_, at) => `line ${at} of a bundle`.padEnd(32, "="));
    const redact = started({ BUNDLE: lines.join("\n"), PASSWORD: "correct horse", BLOB: "x".repeat(200_000) });
    expect(redact("it is correct horse")).toBe("it is [PASSWORD redacted]");
    expect(redact(`so ${lines[3_999]}`)).toBe("so [BUNDLE redacted]");
  });

  it("is replaced however many there are, and however alike, in a time that hangs on the line alone", () => {
    // As one may set them: 32 KiB for each variable, a megabyte for all.
    const words = Array.from({ length: 28_000 }, (_, at) => at.toString(36).padStart(9, "a"));
    const many = Array.from({ length: 10 }, (_, at) => [
      `V${at}`,
      words.slice(at * 2_800, (at + 1) * 2_800).join("\n"),
    ]);
    const redact = started({ ...Object.fromEntries(many), LONG: "a".repeat(32_000) });
    const line = "a".repeat(16_000);
    redact(line);
    const beganMs = performance.now();
    for (let times = 0; times < 20; times += 1) redact(line);
    expect((performance.now() - beganMs) / 20).toBeLessThan(100);
    expect(redact(`x${words[20_000]}y`)).toBe("x[V7 redacted]y");
  });

  it("is replaced with what overlaps it, so that no half of either is left", () => {
    const redact = started({ ONE: "abcdefghij", OTHER: "ghijklmnop", SHORT: "defghijk" });
    expect(redact("-abcdefghijklmnop-")).toBe("-[ONE redacted]-");
    expect(redact("abcdefghi ghijklmnop")).toBe("abcdefghi [OTHER redacted]");
  });

  it("is left where it is an ordinary word, the platform's own, or the image's", () => {
    const redact = started({ DEBUG: "true", PORT_OF: "5432123" }, { PATH: "/usr/local/bin", BERTH_APP: "a-long-name" });
    const line = "true 5432123 /usr/local/bin a-long-name";
    expect(redact(line)).toBe(line);
  });
});

it("says nothing of what had secrets that nobody knows any more, and all of what had none", () => {
  expect(redactorOf(null)("s3cr3t")).not.toContain("s3cr3t");
  expect(redactorOf(new Map())("any line")).toBe("any line");
  expect(withSecretNames({ BERTH_APP: "a" }, {})).toEqual({ BERTH_APP: "a" });
  expect(withSecretNames({}, { A: "x", B: "y" })).toEqual({ [SECRET_NAMES]: "A,B" });
});
