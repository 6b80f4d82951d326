// Every table of Postgres, as drizzle-kit and the queries see them.
export * from "./apps.ts";
export * from "./auth.ts";
export * from "./history.ts";
export * from "./metering.ts";
export * from "./nodes.ts";
export * from "./requests.ts";
export * from "./secrets.ts";
export * from "./teams.ts";
