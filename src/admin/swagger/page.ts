/** The page around Swagger UI. */
export const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>FLM admin API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/swagger/ui.css">
  </head>
  <body>
    <div id="page"></div>
    <script src="/swagger/ui.js"></script>
    <script src="/swagger/page.js"></script>
  </body>
</html>
`;
