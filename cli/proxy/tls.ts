/** What the command line says of HTTPS, wherever proxies are started. */
import { type ProxyView, uncertifiedAdvice } from '../../src/listeners';

export const TLS_ARGS = {
  mode: {
    type: 'string',
    valueHint: 'M',
    description:
      'How clients connect: local-http, or HTTPS with packaged-ca ("flm security install-ca" makes it trusted) or dev-selfsigned (you hand out the root). Default: local-http.',
  },
  'https-port': {
    type: 'string',
    valueHint: 'N',
    description: 'Port for HTTPS. Default: the one after --port, which then only leads there.',
  },
} as const;

/** What has to happen before clients take its certificates; null where there are none. */
export function trustHint({
  mode,
  port,
  endpoints,
  uncertified,
}: Pick<ProxyView, 'mode' | 'port' | 'endpoints' | 'uncertified'>): string | null {
  if (mode === 'local-http') return null;
  const here =
    mode === 'packaged-ca'
      ? 'flm security install-ca'
      : `flm security ca export --mode ${mode}, and import it where it is needed`;
  const near = URL.parse(endpoints.local_network ?? '')?.hostname;
  const lines = [
    `Clients have to trust FLM's certificates. On this machine: ${here}`,
    ...(near === undefined ? [] : [`Other devices learn how to trust it at http://${near}:${port}/ca`]),
    ...(uncertified.length === 0 ? [] : [uncertifiedAdvice(uncertified)]),
  ];
  return lines.join('\n');
}
