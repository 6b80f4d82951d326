// Holds every source file of the project against the rules. rules.test.ts shows that each rule can fail.
import { expect, test } from "vitest";
import { declaredPackages, readInstalled, readManifest, readSources } from "./project-files.ts";
import { deadFiles } from "./rules/dead-files.ts";
import { importArrows } from "./rules/import-arrows.ts";
import { names } from "./rules/names.ts";
import { openingComment } from "./rules/opening-comment.ts";
import { pins } from "./rules/pins.ts";
import { logLines } from "./rules/log-lines.ts";
import { purity } from "./rules/purity.ts";
import { size } from "./rules/size.ts";
import { supply } from "./rules/supply.ts";
import { unfinished } from "./rules/unfinished.ts";
import { type Finding, parseSource } from "./source-file.ts";

const files = readSources().map(parseSource);

test("the whole project was read", () => {
  const folders = new Set(files.map(({ path }) => path.split("/")[0]));
  for (const folder of ["contracts", "core", "durable-objects", "workers", "test"]) expect(folders).toContain(folder);
});

test("imports follow the arrows and name only declared packages", () => {
  expectNone(importArrows(files, declaredPackages()));
});

test("no file is dead", () => {
  expectNone(deadFiles(files));
});

test("files have at most 300 lines and functions at most 70", () => {
  expectNone(files.flatMap(size));
});

test("files are in kebab-case and names say what a thing does", () => {
  expectNone(files.flatMap(names));
});

test("each file opens with a comment on what it owns", () => {
  expectNone(files.flatMap(openingComment));
});

test("core/ has no clock, randomness, I/O, logging or async", () => {
  expectNone(files.flatMap(purity));
});

test("Workers and objects log one JSON value a line, which nobody's text can end", () => {
  expectNone(files.flatMap(logLines));
});

test("nothing is left unfinished and no test is left out", () => {
  expectNone(files.flatMap(unfinished));
});

test("each dependency is pinned to one version", () => {
  const { dependencies, devDependencies } = readManifest();
  expectNone(pins({ ...dependencies, ...devDependencies }));
});

test("what is installed is what was pinned, and runs no code at install but what was decided on", () => {
  const { dependencies, devDependencies, allowScripts } = readManifest();
  const installed = readInstalled();
  expect(Object.keys(installed).length).toBeGreaterThan(100);
  expectNone(supply(installed, allowScripts, { ...dependencies, ...devDependencies }));
});

function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(({ path, line, message }) => `${path}:${line} ${message}`)).toEqual([]);
}
