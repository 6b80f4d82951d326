// The `berth` command tree: global flags, every command, and how usage errors end.
import { Command } from "@commander-js/extra-typings";
import { accountCommand } from "./commands/account.ts";
import { appCommands } from "./commands/apps.ts";
import { auditCommand } from "./commands/audit.ts";
import { authCommands } from "./commands/auth.ts";
import { backupCommand } from "./commands/backup.ts";
import { completionCommand } from "./commands/completion.ts";
import { demoCommand } from "./commands/demo.ts";
import { deployCommand } from "./commands/deploy.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { domainsCommand } from "./commands/domains.ts";
import { drCommand } from "./commands/dr.ts";
import { envCommand } from "./commands/env.ts";
import { eventsCommand } from "./commands/events.ts";
import { exportCommand } from "./commands/export.ts";
import { imagesCommand } from "./commands/images.ts";
import { initCommand } from "./commands/init.ts";
import { keysCommand } from "./commands/keys.ts";
import { lifecycleCommands } from "./commands/lifecycle.ts";
import { logsCommand } from "./commands/logs.ts";
import { membersCommand } from "./commands/members.ts";
import { nodesCommand } from "./commands/nodes.ts";
import { quotaCommands } from "./commands/quota.ts";
import { restoreCommand } from "./commands/restore.ts";
import { registryCommand } from "./commands/registry.ts";
import { rolesCommand } from "./commands/roles.ts";
import { rolloutCommand } from "./commands/rollout.ts";
import { operatorsCommand } from "./commands/operators.ts";
import { sessionsCommand } from "./commands/sessions.ts";
import { setupCommand } from "./commands/setup.ts";
import { teamsCommand } from "./commands/teams.ts";
import { tokensCommand } from "./commands/tokens.ts";
import { trafficCommands } from "./commands/traffic.ts";
import { EXIT } from "./failure.ts";

/** Assembled anew for each run (and for the completion script, which walks it). */
export function createProgram(): Command {
  const program = new Command("berth")
    .description("Deploy apps to servers you own.")
    .version("0.1.0")
    .option("--json", "print one JSON value instead of text")
    .option("--api <url>", "the API's address (or BERTH_API_URL)")
    .option("--team <slug>", "act in this team (or BERTH_TEAM)")
    .showSuggestionAfterError(true)
    .showHelpAfterError("(berth --help lists the commands)")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXIT_CODES_TEXT) as unknown as Command;
  const commands = [
    deployCommand(),
    initCommand(),
    ...appCommands(),
    ...lifecycleCommands(),
    rolloutCommand(),
    ...trafficCommands(),
    logsCommand(),
    eventsCommand(),
    envCommand(),
    domainsCommand(),
    registryCommand(),
    imagesCommand(),
    teamsCommand(),
    membersCommand(),
    rolesCommand(),
    tokensCommand(),
    auditCommand(),
    nodesCommand(),
    keysCommand(),
    setupCommand(),
    drCommand(),
    ...authCommands(),
    ...quotaCommands(),
    sessionsCommand(),
    operatorsCommand(),
    accountCommand(),
    demoCommand(),
    backupCommand(),
    restoreCommand(),
    exportCommand(),
    doctorCommand(),
    completionCommand(createProgram),
  ];
  for (const command of commands) program.addCommand(command as unknown as Command);
  exitWithUsageCode(program);
  return program;
}

const EXIT_CODES_TEXT = `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} it failed, ${EXIT.usage} wrong usage, ${EXIT.signedOut} not signed in or not allowed,
${EXIT.notFound} not found, ${EXIT.unreachable} the API cannot be reached, ${EXIT.unfinished} not done within --timeout (the work goes on), ${EXIT.detached} detached with Ctrl-C (the work goes on).`;

/** commander exits with 1 for usage errors; scripts can tell them apart by 2. */
function exitWithUsageCode(command: Command): void {
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
  for (const child of command.commands) exitWithUsageCode(child as unknown as Command);
}
