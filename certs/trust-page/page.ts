/** The trust page as HTML: no script, nothing from elsewhere, readable without its style. */
import { qrSvg } from '../export/qr';
import type { RootView } from '../model';
import { FILES, type Language, PLATFORMS, WORDS, type Words } from './words';

/** What the page shows, and to whom. */
export interface PageOptions {
  readonly root: Pick<RootView, 'common_name' | 'fingerprint' | 'expires_at'>;
  readonly language: Language;
  /** Where another device finds this page; null when it would not: then the code holds the fingerprint. */
  readonly url: string | null;
}

/** The fingerprint breaks after eight pairs, not within one: people compare it by eye. */
const STYLE = `
:root{color-scheme:light dark}
body{font:1rem/1.6 system-ui,sans-serif;max-width:44rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}
code{font:1rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.fingerprint{display:block;width:24ch;word-break:break-all;padding:.75rem;border:2px solid;border-radius:.5rem}
time{white-space:nowrap}
.qr{background:#fff;padding:.5rem;width:11rem;height:11rem}
.qr svg{width:100%;height:100%}
a{font-weight:600}details{border-top:1px solid;padding:.5rem 0}summary{cursor:pointer;font-weight:600}
`;

/** What the page's answer allows: its own style, and nothing else. */
export function pagePolicy(): string {
  const digest = new Bun.CryptoHasher('sha256').update(STYLE).digest('base64');
  return [
    "default-src 'none'",
    `style-src 'sha256-${digest}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The whole document. Goes with the policy of `pagePolicy`. */
export function trustPageHtml({ root, language, url }: PageOptions): string {
  const words: Words = WORDS[language];
  const other: Language = language === 'en' ? 'ja' : 'en';
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(words.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p><a href="/ca?lang=${other}" hreflang="${other}" lang="${other}">${escapeHtml(words.otherLanguage)}</a></p>
<h1>${escapeHtml(words.title)}</h1>
<p>${escapeHtml(words.lead)}</p>
<p>${escapeHtml(words.limits)}</p>
<h2>${escapeHtml(words.compare)}</h2>
<p>${escapeHtml(words.compareHow)}</p>
<p>${escapeHtml(words.fingerprint)}:
<code class="fingerprint">${escapeHtml(root.fingerprint)}</code></p>
<p>${escapeHtml(root.common_name)} · ${escapeHtml(words.validUntil)} <time datetime="${root.expires_at}">${root.expires_at.slice(0, 10)}</time></p>
<figure>
<div class="qr" role="img" aria-label="${escapeHtml(url ?? root.fingerprint)}">${qrSvg(url ?? root.fingerprint)}</div>
<figcaption>${escapeHtml(url === null ? words.scanFingerprint : words.scanPage)}</figcaption>
</figure>
${PLATFORMS.map((platform) => guideHtml(words, platform)).join('\n')}
<p>${escapeHtml(words.remove)}</p>
</main>
</body>
</html>
`;
}

function guideHtml(words: Words, platform: (typeof PLATFORMS)[number]): string {
  const { title, file, steps } = words.guides[platform];
  const { path } = FILES[file];
  const name = path.slice(path.lastIndexOf('/') + 1);
  return `<details id="${platform}">
<summary>${escapeHtml(title)}</summary>
<p><a href="${path}">${escapeHtml(words.download)}: ${name}</a></p>
<ol>
${steps.map((step) => `<li>${escapeHtml(step)}</li>`).join('\n')}
</ol>
</details>`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
