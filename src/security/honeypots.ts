/**
 * Paths that nobody asks a gateway for who has business here (FLM-116): settings, backups, consoles and holes of other
 * software. They are answered like any unknown path, by the same route; nothing but the score of the address changes.
 */

/** Whole paths, in lower case. */
const PATHS: ReadonlySet<string> = new Set([
  '/.env',
  '/.env.bak',
  '/.env.local',
  '/.env.production',
  '/.aws/credentials',
  '/.bash_history',
  '/.ds_store',
  '/.git/config',
  '/.git/head',
  '/.gitignore',
  '/.gitlab-ci.yml',
  '/.htaccess',
  '/.htpasswd',
  '/.npmrc',
  '/.ssh/id_rsa',
  '/.svn/entries',
  '/.vscode/sftp.json',
  '/admin.php',
  '/administrator/index.php',
  '/autodiscover/autodiscover.xml',
  '/backup.sql',
  '/backup.tar.gz',
  '/backup.zip',
  '/boaform/admin/formlogin',
  '/config.json',
  '/config.php',
  '/config.yml',
  '/config/database.yml',
  '/credentials.json',
  '/database.sql',
  '/db.sql',
  '/debug/default/view',
  '/docker-compose.yml',
  '/dump.sql',
  '/ecp/current/exporttool/microsoft.exchange.ediscovery.exporttool.application',
  '/etc/passwd',
  '/etc/shadow',
  '/goform/setmac',
  '/hnap1',
  '/id_rsa',
  '/info.php',
  '/jenkins/login',
  '/manager/html',
  '/owa/auth/logon.aspx',
  '/php.ini',
  '/phpinfo.php',
  '/remote/login',
  '/secrets.json',
  '/server-info',
  '/server-status',
  '/setup.cgi',
  '/shell',
  '/shell.php',
  '/solr/admin/info/system',
  '/sdk',
  '/telescope/requests',
  '/test.php',
  '/web.config',
  '/win.ini',
  '/xmlrpc.php',
]);

/** Beginnings of paths, in lower case, up to a slash, a dot or the end. */
const BEGINNINGS = [
  '/.aws/',
  '/.git/',
  '/.hg/',
  '/.ssh/',
  '/.svn/',
  '/_ignition/',
  '/_profiler/',
  '/actuator/',
  '/adminer',
  '/cgi-bin/',
  '/dana-na/',
  '/geoserver/',
  '/laravel/',
  '/mysql/',
  '/myadmin',
  '/phpmyadmin',
  '/phpunit/',
  '/pma',
  '/vendor/phpunit/',
  '/wordpress/',
  '/wp-admin',
  '/wp-content/',
  '/wp-includes/',
  '/wp-json/',
  '/wp-login',
  '/wp/',
] as const;

/** Nothing that clients ask for begins with it. */
const OWN = '/v1/';

/** Whether a path is one of them, in any case and behind any number of slashes. */
export function isHoneypot(path: string): boolean {
  if (path.startsWith(OWN)) return false;
  const plain = path
    .replace(/\/{2,}/g, '/')
    .replace(/(.)\/$/, '$1')
    .toLowerCase();
  if (PATHS.has(plain)) return true;
  return BEGINNINGS.some((beginning) => {
    if (!plain.startsWith(beginning) && `${plain}/` !== beginning) return false;
    return beginning.endsWith('/') || /^(?:$|[/._-]|\d)/.test(plain.slice(beginning.length));
  });
}
