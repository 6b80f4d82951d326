// What the companion is told by its environment.
import { z } from "zod";
import type { PostgresTarget } from "../database/target.ts";
import type { MailTarget } from "./mail.ts";

const Port = z.coerce.number().int().min(0).max(65_535);
const Environment = z.object({
  /** Where the adapter listens, on 127.0.0.1. */
  BERTH_ADAPTER_PORT: Port,
  BERTH_POSTGRES_HOST: z.string().min(1).default("127.0.0.1"),
  BERTH_POSTGRES_PORT: Port.default(5432),
  /** verify: TLS, to a certificate that Node trusts (NODE_EXTRA_CA_CERTS adds an authority). */
  BERTH_POSTGRES_TLS: z.enum(["off", "verify"]).default("off"),
  /** Absent: somebody else is the clock. */
  BERTH_CLOCK_URL: z.url({ protocol: /^http$/, hostname: /^127\.0\.0\.1$/ }).optional(),
  /** What the Workers' letters come with, and where they go: a folder (to try Berth out), or an SMTP server. */
  BERTH_MAIL_TOKEN: z.string().min(16).optional(),
  BERTH_MAIL_FOLDER: z.string().min(1).optional(),
  BERTH_SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
});

export interface CompanionEnvironment {
  readonly adapterPort: number;
  readonly postgres: PostgresTarget;
  readonly clockUrl: string | null;
  /** Null: letters are not taken. */
  readonly mail: MailTarget | null;
}

export function readCompanionEnvironment(env: Readonly<Record<string, string | undefined>>): CompanionEnvironment {
  const parsed = Environment.safeParse(env);
  if (!parsed.success) throw new Error(`the environment is wrong:\n${z.prettifyError(parsed.error)}`);
  const told = parsed.data;
  return {
    adapterPort: told.BERTH_ADAPTER_PORT,
    postgres: {
      host: told.BERTH_POSTGRES_HOST,
      port: told.BERTH_POSTGRES_PORT,
      tls: told.BERTH_POSTGRES_TLS === "verify",
    },
    clockUrl: told.BERTH_CLOCK_URL ?? null,
    mail: mailTarget(told),
  };
}

function mailTarget(told: z.infer<typeof Environment>): MailTarget | null {
  const { BERTH_MAIL_TOKEN: token, BERTH_MAIL_FOLDER: path, BERTH_SMTP_URL: url } = told;
  if (token === undefined) return null;
  if (url !== undefined) return { kind: "smtp", url, token };
  return path === undefined ? null : { kind: "folder", path, token };
}
