// The documents against the product: each word that it can raise has its entry in the runbook, and each command that they name exists.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../cli/program.ts";
import { CONDITION_KINDS } from "../../contracts/agent-protocol.ts";
import { NODE_PHASES } from "../../contracts/api.ts";
import { DOMAIN_STATUSES } from "../../contracts/domains.ts";
import { EVENT_TYPES } from "../../contracts/events.ts";
import {
  FAILURE_CODES,
  INSTANCE_FAILURE_CODES,
  REFUSAL_CONSTRAINTS,
  RolloutFailure,
} from "../../contracts/failures.ts";
import { NODE_NOTICE_KINDS } from "../../contracts/node-notices.ts";
import { unknownCommands } from "./rules/docs-commands.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** By its heading: the words in the first cells of its table. */
function entriesOf(heading: string): Set<string> {
  const sections = read("docs/ALARMS.md").split(/^## /m);
  const section = sections.find((text) => text.startsWith(heading));
  if (section === undefined) throw new Error(`docs/ALARMS.md has no heading ${heading}`);
  const cells = [...section.matchAll(/^\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)];
  for (const [line, , means] of cells) if (means!.trim() === "") throw new Error(`without a meaning: ${line}`);
  return new Set(cells.flatMap(([, first]) => [...first!.matchAll(/`([^`]+)`/g)].map(([, word]) => word!)));
}

const rolloutFailures = RolloutFailure.options.map(({ shape }) => shape.kind.value);
const isOfKeys = (type: string): boolean => type.startsWith("key.");
const isOf = (prefix: RegExp) => EVENT_TYPES.filter((type) => prefix.test(type));
const OF_NODES = /^(node|cell|upgrade)\./;

describe("the runbook has an entry for", () => {
  it.each([
    ["A node's phase", NODE_PHASES],
    ["A node's conditions", CONDITION_KINDS],
    ["What a node did by itself", NODE_NOTICE_KINDS],
    ["Events of nodes and cells", isOf(OF_NODES)],
    ["Events of keys", EVENT_TYPES.filter(isOfKeys)],
    ["Events of apps", EVENT_TYPES.filter((type) => !OF_NODES.test(type) && !isOfKeys(type))],
    ["Why an instance does not serve", INSTANCE_FAILURE_CODES],
    ["Why a rollout failed", rolloutFailures],
    ["Why there is no room", REFUSAL_CONSTRAINTS],
    ["A custom domain", DOMAIN_STATUSES],
    ["What the API answers instead", FAILURE_CODES],
  ] as [string, readonly string[]][])("each word of: %s; and for no other", (heading, words) => {
    expect([...entriesOf(heading)].toSorted()).toEqual([...words].toSorted());
  });

  it("each failure that the invariants speak of", () => {
    const runbook = read("docs/OPERATING.md");
    const failures = runbook.slice(runbook.indexOf("## What fails, and what then"), runbook.indexOf("### Alarms"));
    for (const who of ["Postgres", "control Worker", "an agent", "a gateway", "Docker Engine", "a node", "Cloudflare"])
      expect(failures, who).toMatch(new RegExp(`^\\| [^|]*${who}`, "m"));
  });
});

describe("commands in the documents", () => {
  const documents = globSync(["README.md", "docs/**/*.md", "examples/**/*.md"], { cwd: root });

  it.each(documents.toSorted())("of %s exist, with their options", (path) => {
    expect(unknownCommands(read(path), createProgram())).toEqual([]);
  });

  it("that do not exist are found", () => {
    const text =
      "Type `berth nodes explode` or\n\n    berth deploy --harder .\n\nnot `berth status <app>` or `berth nodes …`.";
    expect(unknownCommands(text, createProgram())).toEqual(["berth nodes explode", "berth deploy --harder ."]);
  });
});
