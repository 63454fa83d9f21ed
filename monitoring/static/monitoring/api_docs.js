// The API's documentation page: Swagger UI on the address that the page names. A token typed in is kept nowhere.
"use strict";
const api = document.getElementById("api");
SwaggerUIBundle({
  url: api.dataset.schema,
  domNode: api,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  validatorUrl: null,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  requestInterceptor: (request) => Object.assign(request, { credentials: "omit" }),
});
