/** Answers requests for the trust page and its files. Everything it says is public: roots, and never a key. */
import type { TrustPage } from '../../src/contract';
import { ipReach, parseIp } from '../../src/lib/ip';
import { pemBlocks } from '../certificate';
import { mobileConfig } from '../export/mobileconfig';
import type { RootView } from '../model';
import { languageFor } from './language';
import { pagePolicy, trustPageHtml } from './page';
import { FILES, type FileKind, LANGUAGES } from './words';

const PAGE = '/ca';
const COMMON = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;

/** `root` is asked at each request: after a rotation it is another one. */
export function createTrustPage(root: () => RootView | null): TrustPage {
  return {
    answer(request, path) {
      if (path !== PAGE && !path.startsWith(`${PAGE}/`)) return null;
      if (request.method !== 'GET' && request.method !== 'HEAD')
        return plain(405, 'Only GET.', { allow: 'GET, HEAD' });
      const current = root();
      if (current === null) return plain(404, 'This FLM has no certificate authority of its own.');
      const answer = path === PAGE || path === `${PAGE}/` ? page(request, current) : file(path, current);
      return request.method === 'HEAD' ? new Response(null, answer) : answer;
    },
  };
}

function page(request: Request, root: RootView): Response {
  const url = URL.parse(request.url);
  const asked = url?.searchParams.get('lang');
  const language =
    LANGUAGES.find((known) => known === asked) ?? languageFor(request.headers.get('accept-language'));
  const html = trustPageHtml({ root, language, url: url === null ? null : reachable(url) });
  return new Response(html, {
    headers: {
      ...COMMON,
      'content-type': 'text/html; charset=utf-8',
      'content-language': language,
      'content-security-policy': pagePolicy(),
      'x-frame-options': 'DENY',
      vary: 'Accept-Language',
    },
  });
}

/** The page's address, unless it means another place on every other device. */
function reachable({ hostname, origin }: URL): string | null {
  const ip = parseIp(hostname);
  if (ip !== null ? ipReach(ip) === 'loopback' : /(?:^|\.)localhost$/.test(hostname)) return null;
  return `${origin}${PAGE}`;
}

function file(path: string, root: RootView): Response {
  const kind = (Object.keys(FILES) as FileKind[]).find((known) => FILES[known].path === path);
  if (kind === undefined) return plain(404, 'There is no such file.');
  const name = path.slice(path.lastIndexOf('/') + 1);
  return new Response(contentOf(kind, root), {
    headers: {
      ...COMMON,
      'content-type': FILES[kind].type,
      'content-disposition': `attachment; filename="${name}"`,
    },
  });
}

/** A root in the form that a kind of file holds. */
export function contentOf(
  kind: FileKind,
  { certificate_pem: pem, common_name: commonName, fingerprint }: RootView,
): string | Uint8Array<ArrayBuffer> {
  if (kind === 'pem') return pem;
  const certificate = derOf(pem);
  if (kind === 'der') return certificate;
  return mobileConfig({ commonName, id: fingerprint.replaceAll(':', ''), certificate });
}

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  const base64 = pemBlocks(pem)[0]?.pem.replace(/-----[^-]+-----/g, '') ?? '';
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}

function plain(status: number, text: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...COMMON, ...headers, 'content-type': 'text/plain; charset=utf-8' },
  });
}
