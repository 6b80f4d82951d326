// The few pages for people: plain HTML that works without scripts and on a phone, under headers that allow nothing else.
import type { ErrorHandler, MiddlewareHandler } from "hono";
import { csrf } from "hono/csrf";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";
import type { HtmlEscapedString } from "hono/utils/html";
import type { ControlContext } from "../http/context.ts";
import { failureOf, statusOf } from "../http/problem.ts";

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const STYLE =
  "body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}label{display:block;margin:1rem 0}input{display:block;box-sizing:border-box;width:100%;font:inherit;padding:.6rem}button{font:inherit;padding:.6rem 1.2rem}.wrong{color:#a00}";

export function page(title: string, content: Html): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="stylesheet" href="/account/style.css" />
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html>`;
}

export const none = html``;
export const wrong = (message: string): Html => html`<p class="wrong" role="alert">${message}</p>`;
export const donePage = (title: string, text: string): Html => page(title, html`<p>${text}</p>`);

/** Whatever goes wrong is said on a page, with the status that it has. */
export const answerOnPage: ErrorHandler<ControlContext> = (error, c) => {
  if (error instanceof HTTPException) return c.html(donePage("Refused", "This form was not sent from here."), 403);
  const { failure } = failureOf(error);
  return c.html(donePage("That did not work", failure.message), statusOf(failure.code));
};

export const style = (): Response => new Response(STYLE, { headers: { "content-type": "text/css; charset=utf-8" } });

/** No frame, no script, no cache, no way for a link's token to another origin. */
export const hardened: MiddlewareHandler<ControlContext> = async (c, next) => {
  await next();
  const { headers } = c.res;
  headers.set(
    "content-security-policy",
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  headers.set("cache-control", "no-store");
  headers.set("referrer-policy", "same-origin");
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
};

/** A form that another site sends is refused, whatever host name the request was made to. */
export const ownForms: MiddlewareHandler<ControlContext> = (c, next) =>
  csrf({ origin: (origin) => origin === c.env.CONTROL_ORIGIN })(c, next);
