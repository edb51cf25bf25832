// Defines <weightroom-viewer>, which frames embed.html of the folder this script came from.
