/** What the command line says of who may connect to a proxy, and of who speaks for them. */
import { resolve } from 'node:path';
import { CLIENT_CERTIFICATES, type ProxyInput, type ProxyView } from '../../src/listeners';
import { wordOf } from '../choice';

export const CLIENT_ARGS = {
  'proxy-protocol': {
    type: 'boolean',
    description:
      'The trusted proxies say by the PROXY protocol (v1 or v2) who has come to them; one that does not is refused.',
  },
  'client-certificates': {
    type: 'string',
    valueHint: CLIENT_CERTIFICATES.join('|'),
    description:
      'Whether HTTPS clients need a certificate (optional: one that is shown has to be good). Default: off, with --client-ca: required.',
  },
  'client-ca': {
    type: 'string',
    valueHint: 'PATH',
    description: 'The authorities that vouch for clients, PEM. Read again when the file changes.',
  },
  'client-crl': {
    type: 'string',
    valueHint: 'PATH',
    description: 'A revocation list of each of them, PEM. Read again when the file changes.',
  },
} as const;

type Words = 'client-certificates' | 'client-ca' | 'client-crl';
type ClientArgs = { readonly [Name in Words]?: string | undefined } & {
  readonly 'proxy-protocol'?: boolean | undefined;
};
type ClientInput = Pick<
  ProxyInput,
  'proxy_protocol' | 'client_certificates' | 'client_ca_file' | 'client_crl_file'
>;

/** Paths are those of the shell in which they were said. @throws INVALID_INPUT naming the option */
export function clientInput(args: ClientArgs): ClientInput {
  const { 'client-certificates': demand, 'client-ca': ca, 'client-crl': crl } = args;
  return {
    ...(args['proxy-protocol'] === true ? { proxy_protocol: true } : {}),
    ...(demand === undefined
      ? {}
      : { client_certificates: wordOf('client-certificates', demand, CLIENT_CERTIFICATES) }),
    ...(ca === undefined ? {} : { client_ca_file: resolve(ca) }),
    ...(crl === undefined ? {} : { client_crl_file: resolve(crl) }),
  };
}

/** What is asked of those who connect, for a table. */
export function clientRows(
  proxy: Pick<ProxyView, 'client_certificates' | 'client_ca_file' | 'proxy_protocol'>,
): (readonly [string, string])[] {
  const { client_certificates: demand, client_ca_file: file } = proxy;
  return [
    ...(demand === 'off' ? [] : [['Clients', `certificate ${demand}, by ${file}`] as const]),
    ...(proxy.proxy_protocol ? [['Proxies', 'the trusted ones speak the PROXY protocol'] as const] : []),
  ];
}
