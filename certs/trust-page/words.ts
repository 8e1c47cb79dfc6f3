/** What the trust page says, in each of its languages. Steps are as the systems of 2026 call their menus. */

export const LANGUAGES = ['en', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

export const PLATFORMS = ['ios', 'android', 'windows', 'macos', 'linux', 'firefox'] as const;
export type Platform = (typeof PLATFORMS)[number];

/** Which file a platform wants. */
export const FILES = {
  mobileconfig: { path: '/ca/flm-ca.mobileconfig', type: 'application/x-apple-aspen-config' },
  der: { path: '/ca/flm-ca.crt', type: 'application/x-x509-ca-cert' },
  pem: { path: '/ca/flm-ca.pem', type: 'application/x-pem-file' },
} as const;
export type FileKind = keyof typeof FILES;

interface Guide {
  readonly title: string;
  readonly file: FileKind;
  readonly steps: readonly string[];
}

/** The sentences of the page in one language; what a language lacks does not compile. */
export interface Words {
  readonly title: string;
  readonly lead: string;
  readonly limits: string;
  readonly compare: string;
  readonly compareHow: string;
  readonly fingerprint: string;
  readonly validUntil: string;
  readonly scanPage: string;
  readonly scanFingerprint: string;
  readonly download: string;
  readonly remove: string;
  readonly otherLanguage: string;
  readonly guides: Readonly<Record<Platform, Guide>>;
}

export const WORDS = {
  en: {
    title: 'Trust this FLM',
    lead: 'FLM encrypts its connections with a certificate authority of its own, made on the machine that runs it. Once a device trusts it, browsers and programs on that device connect without a warning.',
    limits:
      'It can vouch only for local names and private addresses, and for names its owner has added. It cannot vouch for any other website.',
    compare: 'First compare the fingerprint',
    compareHow:
      'This page is not encrypted, so somebody in between could have changed it. On the machine that runs FLM, run "flm security ca status" and compare. Go on only if both are the same.',
    fingerprint: 'Fingerprint (SHA-256)',
    validUntil: 'Good until',
    scanPage: 'Scan to open this page on another device.',
    scanFingerprint: 'Scan to read the fingerprint on another device.',
    download: 'Download',
    remove: 'To undo it, delete the certificate in the same place where you added it.',
    otherLanguage: '日本語',
    guides: {
      ios: {
        title: 'iPhone and iPad',
        file: 'mobileconfig',
        steps: [
          'Open this page in Safari, download the profile and allow it.',
          'Settings › General › VPN & Device Management: choose the profile and tap Install.',
          'Settings › General › About › Certificate Trust Settings: switch it on.',
        ],
      },
      android: {
        title: 'Android',
        file: 'der',
        steps: [
          'Download the certificate.',
          'Settings › Security & privacy › More security settings › Encryption & credentials › Install a certificate › CA certificate.',
          'Choose Install anyway and pick the file. Chrome trusts it then; other apps decide for themselves.',
        ],
      },
      windows: {
        title: 'Windows',
        file: 'der',
        steps: [
          'Download the certificate and open it, then choose Install Certificate.',
          'Choose Current User, then "Place all certificates in the following store": Trusted Root Certification Authorities.',
          'Windows shows the fingerprint as SHA-1 and asks once more: choose Yes.',
        ],
      },
      macos: {
        title: 'macOS',
        file: 'der',
        steps: [
          'Download the certificate and open it: Keychain Access adds it to the login keychain.',
          'Double-click it there, open Trust, and set "Secure Sockets Layer (SSL)" to Always Trust.',
          'Close the window and enter your password.',
        ],
      },
      linux: {
        title: 'Linux',
        file: 'pem',
        steps: [
          'Debian, Ubuntu: sudo cp flm-ca.pem /usr/local/share/ca-certificates/flm-ca.crt && sudo update-ca-certificates',
          'Fedora, RHEL: sudo cp flm-ca.pem /etc/pki/ca-trust/source/anchors/ && sudo update-ca-trust',
          'Arch: sudo trust anchor --store flm-ca.pem',
        ],
      },
      firefox: {
        title: 'Firefox',
        file: 'pem',
        steps: [
          'On Windows, macOS and Android, Firefox can use the roots that you have added to the system.',
          'Elsewhere: Settings › Privacy & Security › Certificates › View Certificates › Authorities › Import.',
          'Choose the file and tick "Trust this CA to identify websites".',
        ],
      },
    },
  },
  ja: {
    title: 'この FLM を信頼する',
    lead: 'FLM は、FLM が動いているマシン上で作られた専用の認証局を使って通信を暗号化します。端末がこの認証局を信頼すると、その端末のブラウザーやプログラムは警告なしで接続できます。',
    limits:
      'この認証局が証明できるのは、ローカルな名前とプライベートアドレス、および所有者が追加した名前だけです。ほかのウェブサイトを証明することはできません。',
    compare: '最初にフィンガープリントを確認してください',
    compareHow:
      'このページは暗号化されていないため、途中で書き換えられている可能性があります。FLM が動いているマシンで「flm security ca status」を実行し、表示を比べてください。両方が同じ場合だけ先に進んでください。',
    fingerprint: 'フィンガープリント (SHA-256)',
    validUntil: '有効期限',
    scanPage: '別の端末でこのページを開くには、読み取ってください。',
    scanFingerprint: '別の端末でフィンガープリントを確認するには、読み取ってください。',
    download: 'ダウンロード',
    remove: '元に戻すには、追加した場所で証明書を削除してください。',
    otherLanguage: 'English',
    guides: {
      ios: {
        title: 'iPhone・iPad',
        file: 'mobileconfig',
        steps: [
          'このページを Safari で開き、プロファイルをダウンロードして許可します。',
          '「設定」›「一般」›「VPN とデバイス管理」でプロファイルを選び、「インストール」をタップします。',
          '「設定」›「一般」›「情報」›「証明書信頼設定」でオンにします。',
        ],
      },
      android: {
        title: 'Android',
        file: 'der',
        steps: [
          '証明書をダウンロードします。',
          '「設定」›「セキュリティとプライバシー」›「その他のセキュリティ設定」›「暗号化と認証情報」›「証明書のインストール」›「CA 証明書」を開きます。',
          '「インストールする」を選び、ファイルを指定します。Chrome はこれで信頼します。ほかのアプリはそれぞれの設定に従います。',
        ],
      },
      windows: {
        title: 'Windows',
        file: 'der',
        steps: [
          '証明書をダウンロードして開き、「証明書のインストール」を選びます。',
          '「現在のユーザー」を選び、「証明書をすべて次のストアに配置する」で「信頼されたルート証明機関」を指定します。',
          'Windows が SHA-1 の拇印を表示して確認するので、「はい」を選びます。',
        ],
      },
      macos: {
        title: 'macOS',
        file: 'der',
        steps: [
          '証明書をダウンロードして開くと、「キーチェーンアクセス」がログインキーチェーンに追加します。',
          '追加された証明書をダブルクリックし、「信頼」の「SSL (Secure Sockets Layer)」を「常に信頼」にします。',
          'ウインドウを閉じ、パスワードを入力します。',
        ],
      },
      linux: {
        title: 'Linux',
        file: 'pem',
        steps: [
          'Debian、Ubuntu: sudo cp flm-ca.pem /usr/local/share/ca-certificates/flm-ca.crt && sudo update-ca-certificates',
          'Fedora、RHEL: sudo cp flm-ca.pem /etc/pki/ca-trust/source/anchors/ && sudo update-ca-trust',
          'Arch: sudo trust anchor --store flm-ca.pem',
        ],
      },
      firefox: {
        title: 'Firefox',
        file: 'pem',
        steps: [
          'Windows、macOS、Android では、システムに追加したルート証明書を Firefox でも使えます。',
          'それ以外では、「設定」›「プライバシーとセキュリティ」›「証明書」›「証明書を表示」›「認証局証明書」›「インポート」を開きます。',
          'ファイルを選び、「この認証局によるウェブサイトの識別を信頼する」にチェックを入れます。',
        ],
      },
    },
  },
} as const satisfies Record<Language, Words>;
