import http.cookiejar

MAIN = http.cookiejar.CookieJar
