/** `/api/v1/certificates` and `/api/v1/ca`: what servers show, and the private authorities behind it. */
import { Elysia, t } from 'elysia';
import { type ScopeGuard, STRICT } from '../src/lib/scope-guard';
import {
  CaInput,
  CaStatus,
  CertificateInput,
  CertificateList,
  CertificateView,
  type CertsApi,
  RemovedCertificate,
  RootView,
  RotateCaInput,
} from './model';

const params = t.Object({ id: t.String({ maxLength: 100 }) });

/** The routes; none of their answers holds a key. */
export function certsRoutes(certs: CertsApi, guard: ScopeGuard) {
  return new Elysia({ prefix: '/api/v1', tags: ['certificates'], ...STRICT })
    .use(guard)
    .get('/certificates', () => certs.list(), {
      scope: 'certs:read',
      response: CertificateList,
      detail: { operationId: 'listCertificates', summary: 'List all certificates' },
    })
    .post('/certificates', ({ body }) => certs.import(body), {
      scope: 'certs:write',
      body: CertificateInput,
      response: CertificateView,
      detail: { operationId: 'importCertificate', summary: 'Bring a certificate and its key' },
    })
    .delete('/certificates/:id', ({ params: { id } }) => certs.remove(id), {
      scope: 'certs:write',
      params,
      response: RemovedCertificate,
      detail: { operationId: 'removeCertificate', summary: 'Remove a certificate that was brought' },
    })
    .get('/ca', () => certs.status(), {
      scope: 'certs:read',
      response: CaStatus,
      detail: { operationId: 'getCa', summary: 'The private authorities and what they cover' },
    })
    .post('/ca', ({ body }) => certs.createCa(body), {
      scope: 'certs:write',
      body: CaInput,
      response: RootView,
      detail: {
        operationId: 'createCa',
        summary: 'Make the root of a private authority where there is none',
      },
    })
    .post('/ca/rotate', ({ body }) => certs.rotateCa(body), {
      scope: 'certs:write',
      body: RotateCaInput,
      response: RootView,
      detail: { operationId: 'rotateCa', summary: 'Put a new root in place of the one that signs' },
    });
}
