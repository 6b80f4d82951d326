// export: what one team runs, as compose files, a list of images and SQL, so that it can go elsewhere.
import { createWriteStream, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { App, WhoAmI } from "../../contracts/api.ts";
import { writeTeam } from "../export/write-team.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";

export function exportCommand() {
  return new Command("export")
    .description("write a team's apps as compose files, a list of images and (with BERTH_ADMIN_URL) its rows as SQL")
    .requiredOption("--to <folder>", "a new or empty folder")
    .action(async ({ to }, command) => {
      const context = contextOf(command);
      if (existsSync(to) && readdirSync(to).length > 0) {
        throw new CommandFailure(`${to} is not empty`, EXIT.usage, "Name a new folder.");
      }
      const { team } = await context.api.call(WhoAmI, "GET", "/v1/whoami");
      const apps = await listAll(context, App, "/v1/apps");
      const { files, idle } = await writeTeam(context.api, apps, to);
      const written = [...files];
      const adminUrl = process.env.BERTH_ADMIN_URL;
      if (adminUrl) {
        // Loaded here: the rest needs no database driver.
        const { teamSql } = await import("../../db/copy/team-sql.ts");
        await pipeline(
          Readable.from(teamSql(adminUrl, team.id)),
          createWriteStream(join(to, "team.sql"), { mode: 0o600 }),
        );
        written.push("team.sql");
      }
      context.out.result({ team: team.slug, folder: to, files: written, idle }, () => {
        context.out.line(`${pc.green("✓")} ${team.slug}: ${written.length} files in ${to}`);
        for (const name of idle)
          context.out.line(`  ${name} has no release that serves: there is nothing of it to run.`);
        if (!adminUrl) context.out.line("  Without BERTH_ADMIN_URL, and so without its rows as SQL.");
        context.out.line("  Values of environments are told to nobody: fill in the .env files.");
      });
    });
}
