// Feeds each rule code that breaks it, and the same code mended: a rule that cannot fail guards nothing.
import { describe, expect, test } from "vitest";
import { deadFiles } from "./rules/dead-files.ts";
import { importArrows } from "./rules/import-arrows.ts";
import { logLines } from "./rules/log-lines.ts";
import { names } from "./rules/names.ts";
import { openingComment } from "./rules/opening-comment.ts";
import { pins } from "./rules/pins.ts";
import { purity } from "./rules/purity.ts";
import { size } from "./rules/size.ts";
import { supply } from "./rules/supply.ts";
import { unfinished } from "./rules/unfinished.ts";
import { type Finding, parseSource, type SourceFile } from "./source-file.ts";

const declared = new Set(["zod", "hono", "better-auth", "dockerode"]);

function source(path: string, text = "// What this file owns.\n"): SourceFile {
  return parseSource({ path, text });
}

function messages(findings: readonly Finding[]): string[] {
  return findings.map(({ message }) => message);
}

describe("import arrows", () => {
  test.each([
    ["contracts/a.ts", `import { b } from "../core/b.ts";`, "contracts/ may not import core"],
    ["core/a/b.ts", `import { z } from "zod";`, "core/ may not import zod"],
    ["core/a.ts", `import type { Env } from "../durable-objects/env.ts";`, "core/ may not import durable-objects"],
    ["core/a.ts", `export * from "node:crypto";`, "core/ may not import Node's modules"],
    ["core/a.ts", `type B = import("../db/b.ts").B;`, "core/ may not import db"],
    ["db/a.ts", `export type { C } from "../core/c.ts";`, "db/ may not import core"],
    ["durable-objects/app/a.ts", `import { sql } from "../../db/sql.ts";`, "durable-objects/ may not import db"],
    ["node-agent/agent/a.ts", `import "../../workers/a.ts";`, "node-agent/ may not import workers"],
    ["node-agent/a.ts", `import { env } from "cloudflare:workers";`, "node-agent/ may not import workerd's modules"],
    ["cli/a.ts", `const b = await import("../core/b.ts");`, "cli/ may not import core"],
    ["tools/a.ts", `import { z } from "zod";`, "folder tools/ is not in the table of import arrows"],
    ["test/a.ts", `import left from "left-pad/x";`, "left-pad is not in package.json"],
    ["dev/a.ts", `import { b } from "../../elsewhere/b.ts";`, "../../elsewhere/b.ts is outside of the project"],
    ["dev/a.ts", `import { b } from "./b";`, "./b has no extension"],
    ["workers/edge/a.ts", `import { betterAuth } from "better-auth";`, "the edge Worker may not load better-auth"],
    ["workers/edge/a.ts", `import { open } from "../../db/open.ts";`, "the edge Worker may not load db/open.ts"],
    [
      "workers/control/a.ts",
      `import { App } from "../../durable-objects/app/app.ts";`,
      "only workers/control/index.ts may load durable-objects/app/app.ts: import its types",
    ],
  ])("%s may not say %s", (path, text, message) => {
    expect(messages(importArrows([source(path, text)], declared))).toEqual([message]);
  });

  test.each([
    ["core/a.ts", `import { b } from "../contracts/b.ts"; import { c } from "./c.ts";`],
    ["workers/control/a.ts", `import type { App } from "../../durable-objects/app/app.ts";`],
    ["workers/control/a.ts", `import { type App } from "../../durable-objects/app/app.ts";`],
    ["workers/control/index.ts", `export { App } from "../../durable-objects/app/app.ts";`],
    ["workers/control/a.ts", `import { open } from "../../db/open.ts"; import { Hono } from "hono/tiny";`],
    ["node-agent/a.ts", `import Docker from "dockerode"; import { join } from "node:path";`],
    ["test/a.test.ts", `import { b } from "../core/b.ts"; import { c } from "../cli/c.ts";`],
  ])("%s may say %s", (path, text) => {
    expect(importArrows([source(path, text)], declared)).toEqual([]);
  });
});

describe("dead files", () => {
  const entry = source(
    "cli/main.ts",
    `import "./used.ts"; import("./lazy.ts"); new URL("./started.ts", import.meta.url);`,
  );
  const alive = ["cli/used.ts", "cli/lazy.ts", "cli/started.ts"].map((path) => source(path));

  test("are those that no entry point reaches", () => {
    const findings = deadFiles([entry, ...alive, source("cli/forgotten.ts")]);
    expect(findings).toMatchObject([{ path: "cli/forgotten.ts", message: "no entry point reaches this file" }]);
  });

  test("include two files that import each other only", () => {
    const one = source("core/one.ts", `import "./two.ts";`);
    const two = source("core/two.ts", `import "./one.ts";`);
    expect(deadFiles([one, two]).map(({ path }) => path)).toEqual(["core/one.ts", "core/two.ts"]);
  });

  test("include product code that only a test reaches", () => {
    const onlyTested = source("core/only-tested.ts");
    const itsTest = source("test/core/only-tested.test.ts", `import "../../core/only-tested.ts";`);
    expect(deadFiles([onlyTested, itsTest])).toMatchObject([
      { path: "core/only-tested.ts", message: "only tests reach this file" },
    ]);
  });

  test("do not include what a test alone needs in test/", () => {
    const support = source("test/support.ts");
    const itsTest = source("test/a.test.ts", `import "./support.ts";`);
    expect(deadFiles([entry, ...alive, support, itsTest])).toEqual([]);
  });
});

describe("size", () => {
  const body = (lines: number) => "  x += 1;\n".repeat(lines);

  test("lets a file have 300 lines and not 301", () => {
    expect(size(source("core/a.ts", "x;\n".repeat(300)))).toEqual([]);
    expect(messages(size(source("core/a.ts", "x;\n".repeat(301))))).toEqual(["301 lines, at most 300"]);
  });

  test.each([
    ["function", (lines: number) => `function f() {\n${body(lines)}}`],
    ["arrow", (lines: number) => `const f = () => {\n${body(lines)}};`],
    ["method", (lines: number) => `class A { f() {\n${body(lines)}} }`],
    ["test", (lines: number) => `test("a", () => {\n${body(lines)}});`],
  ])("lets a %s have 70 lines and not 71", (_kind, make) => {
    expect(size(source("core/a.ts", make(68)))).toEqual([]);
    expect(messages(size(source("core/a.ts", make(69))))).toEqual(["a function of 71 lines, at most 70"]);
  });

  test("counts a describe as a heading, not as a function", () => {
    expect(size(source("test/a.test.ts", `describe("a", () => {\n${body(90)}});`))).toEqual([]);
    expect(size(source("test/a.test.ts", `describe.each([1])("a", () => {\n${body(90)}});`))).toHaveLength(1);
  });
});

describe("names", () => {
  test.each([
    ["core/fooBar.ts", "fooBar.ts is not in kebab-case"],
    ["core/foo_bar.ts", "foo_bar.ts is not in kebab-case"],
    ["core/Cell/step.ts", "folder Cell is not in kebab-case"],
    ["cli/output-utils.ts", "output-utils.ts does not say what it owns"],
    ["test/helpers.ts", "helpers.ts does not say what it owns"],
  ])("refuse the path %s", (path, message) => {
    expect(messages(names(source(path)))).toEqual([message]);
  });

  test.each(["RolloutManager", "formatHelper", "DateUtils", "NodeService"])("refuse the export %s", (name) => {
    expect(messages(names(source("core/a.ts", `export class ${name} {}`)))).toEqual([
      `${name} does not say what it does`,
    ]);
    expect(names(source("core/a.ts", `export { x as ${name} }; const x = 1;`))).toHaveLength(1);
  });

  test("take words of the system", () => {
    expect(names(source("core/cell/step.ts", "export function reserve() {}"))).toEqual([]);
    expect(names(source("vitest.config.ts", "export default {};"))).toEqual([]);
  });
});

describe("opening comment", () => {
  test.each([[`import "zod";\n// Too late to say it.\n`], ["// short\n"], [""], ["#!/usr/bin/env node\nrun();\n"]])(
    "refuses %j",
    (text) => expect(openingComment(source("cli/a.ts", text))).toHaveLength(1),
  );

  test("takes a comment before anything else but a shebang", () => {
    expect(openingComment(source("cli/a.ts", "// Owns the sign-in command.\n"))).toEqual([]);
    expect(openingComment(source("cli/a.ts", "#!/usr/bin/env node\n/* Starts the command. */\n"))).toEqual([]);
  });
});

describe("purity", () => {
  test.each([
    ["Date.now()", "Date.now in core/"],
    ["new Date()", "the current date in core/"],
    ["Math.random()", "Math.random in core/"],
    ["performance.now()", "performance in core/"],
    ["crypto.randomUUID()", "crypto in core/"],
    ["setTimeout(f, 1)", "setTimeout in core/"],
    ["fetch(x)", "fetch in core/"],
    ["console.log(x)", "console in core/"],
    ["process.env.A", "process.env in core/"],
    ["const p: Promise<number> = x", "Promise in core/"],
    ["async function f() {}", "async in core/"],
    ["await x", "await in core/"],
    ['import("./a.ts")', "import() in core/"],
  ])("refuses %s in core/", (text, message) => {
    expect(messages(purity(source("core/a.ts", text)))).toEqual([message]);
    expect(purity(source("node-agent/a.ts", text))).toEqual([]);
  });

  test("takes time and randomness as arguments", () => {
    const text = "const at = new Date(nowMs); const b = effect.fetch; const c = { crypto: seed.next() };";
    expect(purity(source("core/a.ts", text))).toEqual([]);
  });
});

describe("log lines", () => {
  test.each([
    ["workers/control/a.ts", "console.error(`no app ${name}`);"],
    ["durable-objects/cell/a.ts", "console.warn(error);"],
    ["workers/edge/a.ts", 'console.log("failed", JSON.stringify(error));'],
    ["self-hosted/workers/a.ts", "console.log(JSON.stringify(error) + name);"],
    ["workers/a.ts", "console.log(JSON.parse(text));"],
  ])("%s may not say %s", (path, text) => {
    expect(messages(logLines(source(path, text)))).toEqual(["console takes JSON.stringify(…) alone"]);
  });

  test("are JSON in a Worker, and whatever they like in a program", () => {
    expect(logLines(source("workers/a.ts", "console.error(JSON.stringify({ error }));"))).toEqual([]);
    expect(logLines(source("cli/a.ts", "console.error(error);"))).toEqual([]);
  });
});

describe("unfinished", () => {
  test.each([
    ["core/a.ts", "// TODO later", "TODO in a comment"],
    ["core/a.ts", "/* FIXME */", "FIXME in a comment"],
    ["core/a.ts", "// @ts-ignore", "@ts-ignore in a comment"],
    ["test/a.test.ts", `test.skip("a", f);`, ".skip on a test"],
    ["test/a.test.ts", `describe.only("a", f);`, ".only on a test"],
    ["test/a.test.ts", `test.concurrent.only("a", f);`, ".only on a test"],
    ["test/a.test.ts", `it.skipIf(noEngine)("a", f);`, ".skipIf on a test"],
    ["test/a.test.ts", `test.todo("a");`, ".todo on a test"],
    ["test/a.test.ts", `xit("a", f);`, "xit() does not run with the others"],
  ])("refuses %s with %s", (path, text, message) => {
    expect(messages(unfinished(source(path, text)))).toEqual([message]);
  });

  test("takes the same words in strings and in other objects", () => {
    expect(unfinished(source("test/a.test.ts", `test("a TODO list", () => page.skip(only));`))).toEqual([]);
  });
});

describe("supply", () => {
  const sound = { version: "1.0.0" };
  const told = (found: object, direct: Record<string, string> = {}) =>
    messages(supply({ "node_modules/a": { ...sound, ...found } }, { b: false }, direct));

  test("takes what was pinned and is quiet", () => {
    expect(told({}, { a: "1.0.0" })).toEqual([]);
  });

  test.each([
    [{ hasInstallScript: true }, /runs a script at install/],
    [{ link: true }, /link to a folder/],
  ])("refuses %j", (found, why) => {
    expect(told(found).join()).toMatch(why);
  });

  test("refuses another version than the pinned one, but not of the same name below another package", () => {
    expect(told({}, { a: "1.0.1" }).join()).toMatch(/1\.0\.0 is installed/);
    expect(messages(supply({ "node_modules/b/node_modules/a": sound }, {}, { a: "2.0.0" }))).toEqual([]);
  });
});

describe("pins", () => {
  test.each(["^1.2.3", "~1.2.3", "1.x", "latest", ">=1"])("refuse %s", (version) => {
    expect(messages(pins({ zod: version }))).toEqual([`zod is not pinned to one version: ${version}`]);
  });

  test("take one version, of a beta too", () => {
    expect(pins({ zod: "4.6.6", miniflare: "5.20261102.0-beta" })).toEqual([]);
  });
});
