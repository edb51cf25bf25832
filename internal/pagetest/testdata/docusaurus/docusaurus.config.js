export default {
  title: "Model zoo",
  url: "https://docs.example.org",
  baseUrl: "/zoo/",
  onBrokenLinks: "throw",
  clientModules: ["./src/weightroom.js"],
  presets: [["classic", { docs: { routeBasePath: "/" }, blog: false, sitemap: false }]],
};
