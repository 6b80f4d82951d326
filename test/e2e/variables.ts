// An app's variables by command, as the app sees them: a dotenv file, many at once, removed, and back to what they were; a release for each.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Ran } from "../cli/run-berth.ts";
import { SMALL, eventually, writeApp, type World } from "./support.ts";

const APP = "variable";
const SERVER = `
import { createServer } from "node:http";
const mine = Object.entries(process.env).filter(([name]) => name.startsWith("T_"));
const said = JSON.stringify({ version: Number(process.env.BERTH_VERSION), variables: Object.fromEntries(mine) });
createServer((_request, response) => response.end(said)).listen(Number(process.env.PORT));
`;
const DOTENV = `# what other tools read too
T_PLAIN=written-plainly
export T_EXPORTED=written-for-a-shell
T_QUOTED="with # and = and blanks"
T_LINES="the first line
the second line"
T_LITERAL='$HOME and \${NAME}'
T_COMMENT=before-a-comment # which is none of it
`;
const IMPORTED = {
  T_PLAIN: "written-plainly",
  T_EXPORTED: "written-for-a-shell",
  T_QUOTED: "with # and = and blanks",
  T_LINES: "the first line\nthe second line",
  T_LITERAL: "$HOME and ${NAME}",
  T_COMMENT: "before-a-comment",
};

export async function changeVariables(world: World): Promise<void> {
  const done = async (args: readonly string[], stdin?: string): Promise<Ran> => {
    const ran = await world.berth([...args, "--app", APP], stdin);
    expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
    for (const value of Object.values(IMPORTED)) expect(ran.stdout + ran.stderr).not.toContain(value);
    return ran;
  };
  const seen = async (version: number) => {
    const answer = await eventually(
      async () => JSON.parse((await world.visit(APP)).body),
      (said) => said.version === version,
    );
    return answer.variables;
  };
  const folder = writeApp(world.home, APP, { "server.mjs": SERVER }, `replicas = 1\n${SMALL}`);
  expect(await world.berth(["deploy", folder])).toMatchObject({ exitCode: 0 });

  const file = join(world.home, "of-another-tool.env");
  writeFileSync(file, DOTENV);
  await done(["env", "import", file]);
  expect(await seen(2), "all of it in one release").toEqual(IMPORTED);
  expect(JSON.parse((await done(["secrets", "list", "--json"])).stdout)).toEqual(Object.keys(IMPORTED).toSorted());

  await done(["env", "import", "-"], "T_PLAIN=from standard input\nT_MORE=more\n");
  expect(await seen(3)).toEqual({ ...IMPORTED, T_PLAIN: "from standard input", T_MORE: "more" });

  await done(["env", "unset", "T_MORE", "T_LINES"]);
  const { T_LINES: _unset, ...left } = IMPORTED;
  expect(await seen(4)).toEqual({ ...left, T_PLAIN: "from standard input" });

  const { stdout } = await done(["env", "versions", "T_LINES"]);
  expect(stdout).toMatch(/T_LINES +2 +removed[^]*T_LINES +1 +value/);
  await done(["env", "rollback", "T_LINES=1", "T_PLAIN=1"]);
  expect(await seen(5)).toEqual(IMPORTED);

  const nothing = await world.berth(["env", "import", "-", "--app", APP], "# nothing yet\n");
  expect(nothing).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("sets no variable") });
  const unreadable = await world.berth(["env", "import", join(world.home, "none.env"), "--app", APP]);
  expect(unreadable).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("cannot be read") });
  const badName = await world.berth(["env", "import", "-", "--app", APP], "T-X.Y=a secret value\n");
  expect(badName.exitCode).toBe(2);
  expect(badName.stderr).not.toContain("a secret value");
  expect(await seen(5), "what was refused made no release").toEqual(IMPORTED);
}
