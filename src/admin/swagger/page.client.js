// The page's own script. `flm admin token` prints its address with a token behind the #, which never leaves the browser
// but for the request that opens the session.
(async () => {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token !== null) {
    history.replaceState(null, '', location.pathname);
    const response = await fetch('/api/v1/session', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    if (!response.ok) alert((await response.json()).error.message);
  }
  SwaggerUIBundle({ url: '/swagger/json', dom_id: '#page', validatorUrl: null, deepLinking: false });
})();
