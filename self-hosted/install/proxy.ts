// The reverse proxy's part, as a Caddyfile to take or to translate: TLS, and the headers by which the Workers know the visitor. Pure.
import { portsOf, type Settings } from "./layout.ts";

/**
 * Cf-Connecting-Ip is what the Workers believe a visitor's address by (sign-ins are limited by it), so the proxy must replace whatever
 * the visitor wrote. Caddy does that, and sets X-Forwarded-Proto by itself.
 */
export function caddyfile(settings: Settings): string {
  const { control, edge } = portsOf(settings);
  return [
    "# Written by `berth setup --self-hosted` as an example: the reverse proxy is yours.",
    `${settings.apiHost} {`,
    ...proxyTo(control),
    "}",
    "",
    `*.${settings.domain} {`,
    "\t# A wildcard's certificate needs DNS-01: name your DNS provider's module, or give a certificate's files.",
    "\ttls /etc/berth/wildcard.crt /etc/berth/wildcard.key",
    ...proxyTo(edge),
    "}",
    "",
  ].join("\n");
}

const proxyTo = (port: number): string[] => [
  `\treverse_proxy 127.0.0.1:${port} {`,
  "\t\theader_up Cf-Connecting-Ip {remote_host}",
  "\t\tflush_interval -1",
  "\t}",
];
