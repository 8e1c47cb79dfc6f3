/**
 * Schemathesis (PyPI) makes up requests from the OpenAPI document, good and bad, and holds every answer against it: no 5xx,
 * no status, type or field that is not documented.
 */
import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startWithAdminPort } from '../support/admin-port';
import { isMissing } from '../support/missing';
import { PYTHON, pypiPackage } from '../support/pypi';

const TIMEOUT_MS = 150_000;

const schemathesis = pypiPackage('schemathesis', '4.32.5');

/**
 * Left out: what installs, starts and stops an engine, a proxy or FLM itself, what ends the session that the rest needs, what
 * connects to addresses that were made up, and the stream that never ends.
 * What is not looked at, and why:
 * - ignored_auth wants 401 for every wrong token, and after five FLM says 429; src/admin/admin.test.ts walks all routes.
 * - positive_data_acceptance wants everything that fits a schema to be accepted, such as a port for every setting.
 * - allow_header_conformance holds that /engines/detect is no name of an engine, which it may be.
 * - use_after_free wants a setting that was unset to be gone; it has its default then.
 * An engine that does not answer, at an address that was made up, is no fault of FLM: 502 and 504 say so.
 */
const LEFT_OUT =
  'TrialEngine$|^closeSession$|^stopFlm$|^handOver$|^tellOfElder$|Proxies$|Proxy$|^followAuditEvents$|^testEgress$';
const SETTINGS = `
[checks]
ignored_auth.enabled = false
positive_data_acceptance.enabled = false
allow_header_conformance.enabled = false
use_after_free.enabled = false

[[operations]]
include-operation-id = "addEngine"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 504]

[[operations]]
include-operation-id = "listAuditEvents"
parameters = { stream = false }
`;

test.skipIf(isMissing('the admin API with schemathesis', await schemathesis.missing()))(
  'every answer to made-up requests is one that the document tells of',
  async () => {
    await using flm = await startWithAdminPort();
    const settings = join(flm.home.dir, 'schemathesis.toml');
    writeFileSync(settings, SETTINGS);
    const words = ['--config-file', settings, 'run', `${flm.base}/swagger/json`, '--no-color', '--seed', '1'];
    const options = ['--max-examples', '10', '--exclude-operation-id-regex', LEFT_OUT];
    const secret = ['-H', `Authorization: Bearer ${await flm.bearer()}`];
    const child = Bun.spawn([PYTHON, '-m', 'schemathesis.cli', ...words, ...options, ...secret], {
      cwd: flm.home.dir,
      env: {
        PATH: process.env.PATH,
        HOME: flm.home.dir,
        PYTHONPATH: schemathesis.path,
        PYTHONDONTWRITEBYTECODE: '1',
      },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect({ code: await child.exited, report: out.slice(out.indexOf('=')), err }).toEqual({
      code: 0,
      report: expect.stringMatching(/\d{3,} passed/),
      err: '',
    });
    // What the log holds would be a bug that no status gave away.
    expect(flm.running.stderr.text()).not.toContain('an admin request failed');
  },
  TIMEOUT_MS,
);
