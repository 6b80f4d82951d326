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
