<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name></name>
    <message>
        <source> · {n} chosen</source>
        <translation> · {n} ausgewählt</translation>
    </message>
    <message numerus="yes">
        <source>%n CPUs</source>
        <comment>%n CPU</comment>
        <translation>
            <numerusform>%n CPU</numerusform>
            <numerusform>%n CPUs</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n CPUs, at most {memory} of memory, a disk that grows up to {disk}.</source>
        <comment>%n CPU, at most {memory} of memory, a disk that grows up to {disk}.</comment>
        <translation>
            <numerusform>%n CPU, höchstens {memory} Speicher, ein Datenträger, der bis {disk} wächst.</numerusform>
            <numerusform>%n CPUs, höchstens {memory} Speicher, ein Datenträger, der bis {disk} wächst.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n capabilities</source>
        <comment>%n capability</comment>
        <translation>
            <numerusform>%n Capability</numerusform>
            <numerusform>%n Capabilities</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n checks passed.</source>
        <comment>%n check passed.</comment>
        <translation>
            <numerusform>%n Prüfung bestanden.</numerusform>
            <numerusform>%n Prüfungen bestanden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n checks skipped.</source>
        <comment>%n check skipped.</comment>
        <translation>
            <numerusform>%n Prüfung übersprungen.</numerusform>
            <numerusform>%n Prüfungen übersprungen.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n containers</source>
        <comment>%n container</comment>
        <translation>
            <numerusform>%n Container</numerusform>
            <numerusform>%n Container</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n containers run</source>
        <comment>%n container runs</comment>
        <translation>
            <numerusform>%n Container läuft</numerusform>
            <numerusform>%n Container laufen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n days old</source>
        <comment>%n day old</comment>
        <translation>
            <numerusform>%n Tag alt</numerusform>
            <numerusform>%n Tage alt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n deleted</source>
        <comment>%n deleted</comment>
        <translation>
            <numerusform>%n gelöscht</numerusform>
            <numerusform>%n gelöscht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n entries</source>
        <comment>%n entry</comment>
        <translation>
            <numerusform>%n Eintrag</numerusform>
            <numerusform>%n Einträge</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n failed</source>
        <comment>%n failed</comment>
        <translation>
            <numerusform>%n mit Fehler</numerusform>
            <numerusform>%n mit Fehler</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n files</source>
        <comment>%n file</comment>
        <translation>
            <numerusform>%n Datei</numerusform>
            <numerusform>%n Dateien</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n files changed</source>
        <comment>%n file changed</comment>
        <translation>
            <numerusform>%n Datei geändert</numerusform>
            <numerusform>%n Dateien geändert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n images</source>
        <comment>%n image</comment>
        <translation>
            <numerusform>%n Image</numerusform>
            <numerusform>%n Images</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n images ({size}) have to be pulled, loaded or built again before they can be used again.</source>
        <comment>The image ({size}) has to be pulled, loaded or built again before it can be used again.</comment>
        <translation>
            <numerusform>Vor der nächsten Verwendung muss das Image ({size}) wieder gepullt, geladen oder gebaut werden.</numerusform>
            <numerusform>Vor der nächsten Verwendung müssen %n Images ({size}) wieder gepullt, geladen oder gebaut werden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n images are in use</source>
        <comment>{name} is in use</comment>
        <translation>
            <numerusform>{name} wird verwendet</numerusform>
            <numerusform>%n Images werden verwendet</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n images were deleted</source>
        <comment>%n image was deleted</comment>
        <translation>
            <numerusform>%n Image wurde gelöscht</numerusform>
            <numerusform>%n Images wurden gelöscht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n images would be deleted</source>
        <comment>%n image would be deleted</comment>
        <translation>
            <numerusform>%n Image würde gelöscht</numerusform>
            <numerusform>%n Images würden gelöscht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n items</source>
        <comment>%n item</comment>
        <translation>
            <numerusform>%n Eintrag</numerusform>
            <numerusform>%n Einträge</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n keys</source>
        <comment>%n key</comment>
        <translation>
            <numerusform>%n Schlüssel</numerusform>
            <numerusform>%n Schlüssel</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n layers</source>
        <comment>%n layer</comment>
        <translation>
            <numerusform>%n Layer</numerusform>
            <numerusform>%n Layer</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n lines</source>
        <comment>%n line</comment>
        <translation>
            <numerusform>%n Zeile</numerusform>
            <numerusform>%n Zeilen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n matches</source>
        <comment>%n match</comment>
        <translation>
            <numerusform>%n Treffer</numerusform>
            <numerusform>%n Treffer</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n networks</source>
        <comment>%n network</comment>
        <translation>
            <numerusform>%n Netzwerk</numerusform>
            <numerusform>%n Netzwerke</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n networks were deleted</source>
        <comment>%n network was deleted</comment>
        <translation>
            <numerusform>%n Netzwerk wurde gelöscht</numerusform>
            <numerusform>%n Netzwerke wurden gelöscht</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n new lines</source>
        <comment>%n new line</comment>
        <translation>
            <numerusform>%n neue Zeile</numerusform>
            <numerusform>%n neue Zeilen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n newer packages</source>
        <comment>%n newer package</comment>
        <translation>
            <numerusform>%n neueres Paket</numerusform>
            <numerusform>%n neuere Pakete</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n paused</source>
        <comment>%n paused</comment>
        <translation>
            <numerusform>%n pausiert</numerusform>
            <numerusform>%n pausiert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n problems found.</source>
        <comment>%n problem found.</comment>
        <translation>
            <numerusform>%n Problem gefunden.</numerusform>
            <numerusform>%n Probleme gefunden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n restarting</source>
        <comment>%n restarting</comment>
        <translation>
            <numerusform>%n startet neu</numerusform>
            <numerusform>%n startet neu</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n running</source>
        <comment>%n running</comment>
        <translation>
            <numerusform>%n in Betrieb</numerusform>
            <numerusform>%n in Betrieb</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n unhealthy</source>
        <comment>%n unhealthy</comment>
        <translation>
            <numerusform>%n gestört</numerusform>
            <numerusform>%n gestört</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n volumes</source>
        <comment>%n volume</comment>
        <translation>
            <numerusform>%n Volume</numerusform>
            <numerusform>%n Volumes</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n volumes are used by {users}.</source>
        <comment>{name} is used by {users}.</comment>
        <translation>
            <numerusform>{name} wird von {users} verwendet.</numerusform>
            <numerusform>%n Volumes werden von {users} verwendet.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n volumes were deleted</source>
        <comment>%n volume was deleted</comment>
        <translation>
            <numerusform>%n Volume wurde gelöscht</numerusform>
            <numerusform>%n Volumes wurden gelöscht</numerusform>
        </translation>
    </message>
    <message>
        <source>(no limit)</source>
        <translation>(kein Limit)</translation>
    </message>
    <message>
        <source>/data</source>
        <translation>/data</translation>
    </message>
    <message>
        <source>80</source>
        <translation>80</translation>
    </message>
    <message>
        <source>A gateway needs a subnet that it is in.</source>
        <translation>Ein Gateway braucht ein Subnetz, in dem es liegt.</translation>
    </message>
    <message>
        <source>A label needs a name before its =: {line}</source>
        <translation>Ein Label braucht einen Namen vor dem =: {line}</translation>
    </message>
    <message>
        <source>A layer that several images share is counted for each of them.</source>
        <translation>Ein Layer, den mehrere Images teilen, wird bei jedem davon mitgezählt.</translation>
    </message>
    <message>
        <source>A name has no spaces.</source>
        <translation>Ein Name enthält keine Leerzeichen.</translation>
    </message>
    <message>
        <source>A new volume with a copy of all files, their owners and modes.</source>
        <translation>Ein neues Volume mit einer Kopie aller Dateien samt Eigentümern und Rechten.</translation>
    </message>
    <message>
        <source>A port is a number from 1 to 65535.</source>
        <translation>Ein Port ist eine Zahl von 1 bis 65535.</translation>
    </message>
    <message>
        <source>A quotation mark is not closed.</source>
        <translation>Ein Anführungszeichen ist nicht geschlossen.</translation>
    </message>
    <message>
        <source>A running container may change files while they are copied.</source>
        <translation>Ein laufender Container kann Dateien während des Kopierens ändern.</translation>
    </message>
    <message>
        <source>A snapshot is being copied.</source>
        <translation>Ein Snapshot wird gerade kopiert.</translation>
    </message>
    <message>
        <source>A snapshot saves images, containers and volumes. Running containers keep running. Folders of this computer are not included.</source>
        <translation>Ein Snapshot sichert Images, Container und Volumes. Laufende Container laufen weiter. Ordner dieses Computers gehören nicht dazu.</translation>
    </message>
    <message>
        <source>A terminal needs a running container.</source>
        <translation>Ein Terminal braucht einen laufenden Container.</translation>
    </message>
    <message>
        <source>A terminal needs a shell in the image. Files, Stats and Inside work without one.</source>
        <translation>Ein Terminal braucht eine Shell im Image. Dateien, Statistik und Innenleben gehen auch ohne.</translation>
    </message>
    <message>
        <source>A variable needs a name, without = and spaces.</source>
        <translation>Eine Variable braucht einen Namen ohne = und Leerzeichen.</translation>
    </message>
    <message>
        <source>A volume keeps files that outlive the containers which write them.</source>
        <translation>Ein Volume bewahrt Dateien, die ihre Container überdauern.</translation>
    </message>
    <message>
        <source>A web server that answers on port 8080 of this computer, run from here or with this command in a terminal.</source>
        <translation>Ein Webserver auf Port 8080 dieses Computers, hier ausgeführt oder mit diesem Befehl in einem Terminal.</translation>
    </message>
    <message>
        <source>About</source>
        <translation>Über Galley</translation>
    </message>
    <message>
        <source>Acceleration of QEMU. auto selects the fastest that works here.</source>
        <translation>Beschleunigung von QEMU. auto wählt die schnellste, die hier funktioniert.</translation>
    </message>
    <message>
        <source>Accelerator</source>
        <translation>Beschleuniger</translation>
    </message>
    <message>
        <source>Active.</source>
        <translation>Aktiv.</translation>
    </message>
    <message>
        <source>Add a folder…</source>
        <translation>Ordner hinzufügen…</translation>
    </message>
    <message>
        <source>Add a mount</source>
        <translation>Mount hinzufügen</translation>
    </message>
    <message>
        <source>Add a name to {image}</source>
        <translation>Namen für {image} hinzufügen</translation>
    </message>
    <message>
        <source>Add a name…</source>
        <translation>Namen hinzufügen…</translation>
    </message>
    <message>
        <source>Add a port</source>
        <translation>Port hinzufügen</translation>
    </message>
    <message>
        <source>Add a variable</source>
        <translation>Variable hinzufügen</translation>
    </message>
    <message>
        <source>Add the name</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Added</source>
        <translation>Hinzugefügt</translation>
    </message>
    <message>
        <source>Added to the settings from Galley. dockerd validates them.</source>
        <translation>Ergänzt die Einstellungen von Galley. dockerd prüft sie.</translation>
    </message>
    <message>
        <source>Additional name of the container on this network.</source>
        <translation>Zusätzlicher Name des Containers in diesem Netzwerk.</translation>
    </message>
    <message>
        <source>Address</source>
        <translation>Adresse</translation>
    </message>
    <message>
        <source>Address of published ports</source>
        <translation>Adresse veröffentlichter Ports</translation>
    </message>
    <message>
        <source>Address of the host</source>
        <translation>Adresse des Hosts</translation>
    </message>
    <message>
        <source>Address or folder of Docker&apos;s apt repository for Debian, for the image channel docker. Its key must be Docker&apos;s.</source>
        <translation>Adresse oder Ordner von Dockers apt-Quelle für Debian, für den Image-Kanal docker. Ihr Schlüssel muss der von Docker sein.</translation>
    </message>
    <message>
        <source>Address or folder that images are downloaded from. If it is empty, they are built from Debian&apos;s packages, which is possible on Linux only.</source>
        <translation>Adresse oder Ordner, von wo Images heruntergeladen werden. Ohne Angabe werden sie aus Debians Paketen gebaut, was nur unter Linux möglich ist.</translation>
    </message>
    <message>
        <source>After @, enter a digest, for example sha256:… with 64 digits.</source>
        <translation>Nach @ einen Digest angeben, zum Beispiel sha256:… mit 64 Stellen.</translation>
    </message>
    <message>
        <source>After the last colon, enter a tag: letters, digits, dots and dashes.</source>
        <translation>Nach dem letzten Doppelpunkt einen Tag angeben: Buchstaben, Ziffern, Punkte und Striche.</translation>
    </message>
    <message>
        <source>Age</source>
        <translation>Alter</translation>
    </message>
    <message>
        <source>Alias</source>
        <translation>Alias</translation>
    </message>
    <message>
        <source>All</source>
        <translation>Alle</translation>
    </message>
    <message>
        <source>All data is kept. Start the engine to see it.</source>
        <translation>Alle Daten bleiben erhalten. Sie erscheinen nach dem Start der Engine.</translation>
    </message>
    <message>
        <source>All files ({any})</source>
        <translation>Alle Dateien ({any})</translation>
    </message>
    <message numerus="yes">
        <source>All files in them are permanently deleted.</source>
        <comment>All files in it are permanently deleted.</comment>
        <translation>
            <numerusform>Alle Dateien darin werden endgültig gelöscht.</numerusform>
            <numerusform>Alle Dateien darin werden endgültig gelöscht.</numerusform>
        </translation>
    </message>
    <message>
        <source>All images without containers, not only dangling ones</source>
        <translation>Alle Images ohne Container, nicht nur unbenannte (dangling)</translation>
    </message>
    <message>
        <source>Also containers that are not running</source>
        <translation>Auch Container, die nicht laufen</translation>
    </message>
    <message>
        <source>Also named volumes</source>
        <translation>Auch benannte Volumes</translation>
    </message>
    <message>
        <source>An address is like 127.0.0.1; empty means all of them.</source>
        <translation>Eine Adresse sieht aus wie 127.0.0.1; leer bedeutet alle.</translation>
    </message>
    <message numerus="yes">
        <source>An update fixes %n known vulnerabilities.</source>
        <comment>An update fixes %n known vulnerability.</comment>
        <translation>
            <numerusform>Ein Update behebt %n bekannte Schwachstelle.</numerusform>
            <numerusform>Ein Update behebt %n bekannte Schwachstellen.</numerusform>
        </translation>
    </message>
    <message>
        <source>AppArmor</source>
        <translation>AppArmor</translation>
    </message>
    <message>
        <source>AppArmor {profile}</source>
        <translation>AppArmor {profile}</translation>
    </message>
    <message>
        <source>Apply</source>
        <translation>Anwenden</translation>
    </message>
    <message>
        <source>Apply daemon.json</source>
        <translation>daemon.json anwenden</translation>
    </message>
    <message>
        <source>As reported by the engine</source>
        <translation>Laut Engine</translation>
    </message>
    <message>
        <source>At login</source>
        <translation>Bei der Anmeldung am Computer</translation>
    </message>
    <message>
        <source>Back to the folder</source>
        <translation>Zurück zum Ordner</translation>
    </message>
    <message>
        <source>Back to the list</source>
        <translation>Zurück zur Liste</translation>
    </message>
    <message>
        <source>Backend</source>
        <translation>Backend</translation>
    </message>
    <message>
        <source>Browse</source>
        <translation>Durchsuchen</translation>
    </message>
    <message>
        <source>Build cache</source>
        <translation>Build-Cache</translation>
    </message>
    <message>
        <source>Built in</source>
        <translation>Fest eingebaut</translation>
    </message>
    <message>
        <source>Bypass the proxy for</source>
        <translation>Proxy umgehen für</translation>
    </message>
    <message>
        <source>CPU</source>
        <translation>CPU</translation>
    </message>
    <message>
        <source>CPU cores</source>
        <translation>CPU-Kerne</translation>
    </message>
    <message>
        <source>CPU model</source>
        <translation>CPU-Modell</translation>
    </message>
    <message>
        <source>CPU {share}</source>
        <translation>CPU {share}</translation>
    </message>
    <message>
        <source>CPUs</source>
        <translation>CPUs</translation>
    </message>
    <message>
        <source>Calculate</source>
        <translation>Berechnen</translation>
    </message>
    <message>
        <source>Calculate disk usage of the engine</source>
        <translation>Speicherbedarf der Engine berechnen</translation>
    </message>
    <message>
        <source>Calculating unused space…</source>
        <translation>Ungenutzter Speicherplatz wird berechnet…</translation>
    </message>
    <message>
        <source>Calculating…</source>
        <translation>Wird berechnet…</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Cancel the start</source>
        <translation>Start abbrechen</translation>
    </message>
    <message>
        <source>Cancel {task}</source>
        <translation>{task} abbrechen</translation>
    </message>
    <message>
        <source>Cancelling…</source>
        <translation>Wird abgebrochen…</translation>
    </message>
    <message>
        <source>Capabilities</source>
        <translation>Capabilities</translation>
    </message>
    <message>
        <source>Change or clear the filter.</source>
        <translation>Filter ändern oder leeren.</translation>
    </message>
    <message>
        <source>Change the setting {name}</source>
        <translation>Einstellung {name} ändern</translation>
    </message>
    <message>
        <source>Change the settings</source>
        <translation>Einstellungen ändern</translation>
    </message>
    <message>
        <source>Changed and not in use yet: {names}</source>
        <translation>Geändert, aber noch nicht wirksam: {names}</translation>
    </message>
    <message>
        <source>Changed files</source>
        <translation>Geänderte Dateien</translation>
    </message>
    <message>
        <source>Changed files of {name}</source>
        <translation>Geänderte Dateien von {name}</translation>
    </message>
    <message>
        <source>Changed here:</source>
        <translation>Hier geändert:</translation>
    </message>
    <message>
        <source>Charts</source>
        <translation>Diagramme</translation>
    </message>
    <message>
        <source>Check for problems</source>
        <translation>Probleme suchen</translation>
    </message>
    <message>
        <source>Checked on {date}.</source>
        <translation>Geprüft am {date}.</translation>
    </message>
    <message>
        <source>Checking…</source>
        <translation>Wird geprüft…</translation>
    </message>
    <message>
        <source>Checks</source>
        <translation>Prüfungen</translation>
    </message>
    <message>
        <source>Checks Galley, this computer and the virtual machine. Changes nothing.</source>
        <translation>Prüft Galley, diesen Computer und die virtuelle Maschine. Dabei wird nichts geändert.</translation>
    </message>
    <message>
        <source>Choose a tar file</source>
        <translation>Tar-Datei auswählen</translation>
    </message>
    <message>
        <source>Choose another location, or free some space there.</source>
        <translation>Einen anderen Ort wählen oder dort Platz schaffen.</translation>
    </message>
    <message>
        <source>Choose another location.</source>
        <translation>Einen anderen Ort wählen.</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Auswählen…</translation>
    </message>
    <message>
        <source>Clean up: {what}</source>
        <translation>Aufräumen: {what}</translation>
    </message>
    <message>
        <source>Clean up…</source>
        <translation>Aufräumen…</translation>
    </message>
    <message>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <source>Clear a filter, close a file, go back to the list</source>
        <translation>Filter leeren, Datei schließen, zurück zur Liste</translation>
    </message>
    <message>
        <source>Clear the filter</source>
        <translation>Filter leeren</translation>
    </message>
    <message>
        <source>Clear the view</source>
        <translation>Ansicht leeren</translation>
    </message>
    <message>
        <source>Clone</source>
        <translation>Klonen</translation>
    </message>
    <message>
        <source>Clone {name}</source>
        <translation>{name} klonen</translation>
    </message>
    <message>
        <source>Clone {source} as {name}</source>
        <translation>{source} als {name} klonen</translation>
    </message>
    <message>
        <source>Clone…</source>
        <translation>Klonen…</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close the list of files</source>
        <translation>Dateiliste schließen</translation>
    </message>
    <message>
        <source>Close the window; the engine keeps running</source>
        <translation>Fenster schließen; die Engine läuft weiter</translation>
    </message>
    <message>
        <source>Collecting information</source>
        <translation>Informationen werden gesammelt</translation>
    </message>
    <message>
        <source>Collecting logs</source>
        <translation>Logs werden gesammelt</translation>
    </message>
    <message>
        <source>Colours</source>
        <translation>Farben</translation>
    </message>
    <message>
        <source>Colours of the system</source>
        <translation>Farben des Systems</translation>
    </message>
    <message>
        <source>Command</source>
        <translation>Befehl</translation>
    </message>
    <message>
        <source>Command palette</source>
        <translation>Befehlspalette</translation>
    </message>
    <message>
        <source>Commands that match</source>
        <translation>Passende Befehle</translation>
    </message>
    <message>
        <source>Compare namespaces</source>
        <translation>Namespaces vergleichen</translation>
    </message>
    <message>
        <source>Connect</source>
        <translation>Verbinden</translation>
    </message>
    <message>
        <source>Connect a container to {name}</source>
        <translation>Container mit {name} verbinden</translation>
    </message>
    <message>
        <source>Connect a container…</source>
        <translation>Verbinden…</translation>
    </message>
    <message>
        <source>Connect again</source>
        <translation>Wieder verbinden</translation>
    </message>
    <message>
        <source>Connect {container} to {network}</source>
        <translation>{container} mit {network} verbinden</translation>
    </message>
    <message>
        <source>Connecting to {name}…</source>
        <translation>Verbindung zu {name}…</translation>
    </message>
    <message>
        <source>Connecting…</source>
        <translation>Verbinden…</translation>
    </message>
    <message>
        <source>Connection</source>
        <translation>Verbindung</translation>
    </message>
    <message>
        <source>Container</source>
        <translation>Container</translation>
    </message>
    <message>
        <source>Container defaults</source>
        <translation>Vorgaben für Container</translation>
    </message>
    <message>
        <source>Containers</source>
        <translation>Container</translation>
    </message>
    <message>
        <source>Containers are paused while the memory is copied, and their connections close. Restoring the snapshot resumes them.</source>
        <translation>Container pausieren, während der Arbeitsspeicher kopiert wird, und ihre Verbindungen werden getrennt. Beim Wiederherstellen des Snapshots laufen sie weiter.</translation>
    </message>
    <message>
        <source>Containers on the same network find each other by name.</source>
        <translation>Container im selben Netzwerk finden einander über ihren Namen.</translation>
    </message>
    <message>
        <source>Containers on the same network resolve each other as NAME.galley.local.</source>
        <translation>Container im selben Netzwerk erreichen einander als NAME.galley.local.</translation>
    </message>
    <message>
        <source>Containers reach services on this computer&apos;s 127.0.0.1 as host.docker.internal.</source>
        <translation>Container erreichen Dienste auf 127.0.0.1 dieses Computers als host.docker.internal.</translation>
    </message>
    <message>
        <source>Containers, volumes, and layers that other images use are kept.</source>
        <translation>Container, Volumes und Layer, die andere Images verwenden, bleiben erhalten.</translation>
    </message>
    <message>
        <source>Containers; with 2 to 7 the other pages</source>
        <translation>Container; mit 2 bis 7 die anderen Seiten</translation>
    </message>
    <message>
        <source>Context</source>
        <translation>Kontext</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy ID</source>
        <translation>ID kopieren</translation>
    </message>
    <message>
        <source>Copy all</source>
        <translation>Alles kopieren</translation>
    </message>
    <message>
        <source>Copy digest</source>
        <translation>Digest kopieren</translation>
    </message>
    <message>
        <source>Copy docker run</source>
        <translation>docker run kopieren</translation>
    </message>
    <message>
        <source>Copy mountpoint</source>
        <translation>Mountpoint kopieren</translation>
    </message>
    <message>
        <source>Copy name</source>
        <translation>Namen kopieren</translation>
    </message>
    <message>
        <source>Copy path</source>
        <translation>Pfad kopieren</translation>
    </message>
    <message>
        <source>Copy the problem</source>
        <translation>Problem kopieren</translation>
    </message>
    <message>
        <source>Copy the selection</source>
        <translation>Auswahl kopieren</translation>
    </message>
    <message>
        <source>Copy value</source>
        <translation>Wert kopieren</translation>
    </message>
    <message>
        <source>Copy {what}</source>
        <translation>{what} kopieren</translation>
    </message>
    <message>
        <source>Copy ▾</source>
        <translation>Kopieren ▾</translation>
    </message>
    <message>
        <source>Copying the disk</source>
        <translation>Datenträger wird kopiert</translation>
    </message>
    <message>
        <source>Copying the memory</source>
        <translation>Arbeitsspeicher wird kopiert</translation>
    </message>
    <message>
        <source>Copying {name}… {share}</source>
        <translation>{name} wird kopiert… {share}</translation>
    </message>
    <message>
        <source>Create</source>
        <translation>Erstellen</translation>
    </message>
    <message>
        <source>Create a docker context at first start, and select it if none is selected.</source>
        <translation>Beim ersten Start einen Docker-Kontext anlegen und auswählen, falls noch keiner ausgewählt ist.</translation>
    </message>
    <message>
        <source>Create a network</source>
        <translation>Netzwerk erstellen</translation>
    </message>
    <message>
        <source>Create a network…</source>
        <translation>Netzwerk erstellen…</translation>
    </message>
    <message>
        <source>Create a snapshot</source>
        <translation>Snapshot erstellen</translation>
    </message>
    <message>
        <source>Create a snapshot…</source>
        <translation>Snapshot erstellen…</translation>
    </message>
    <message>
        <source>Create a volume</source>
        <translation>Volume erstellen</translation>
    </message>
    <message>
        <source>Create a volume…</source>
        <translation>Volume erstellen…</translation>
    </message>
    <message>
        <source>Create an image from a root file system</source>
        <translation>Image aus einem Root-Dateisystem erstellen</translation>
    </message>
    <message>
        <source>Create the snapshot {name}</source>
        <translation>Den Snapshot {name} erstellen</translation>
    </message>
    <message>
        <source>Create {name}</source>
        <translation>{name} erstellen</translation>
    </message>
    <message>
        <source>Created</source>
        <translation>Erstellt</translation>
    </message>
    <message>
        <source>Create…</source>
        <translation>Neu…</translation>
    </message>
    <message>
        <source>Ctrl+K</source>
        <translation>Strg+K</translation>
    </message>
    <message>
        <source>Ctrl+K finds a command</source>
        <translation>Strg+K findet einen Befehl</translation>
    </message>
    <message>
        <source>Ctrl+Shift+C and V copy and paste</source>
        <translation>Strg+Umschalt+C und V kopieren und fügen ein</translation>
    </message>
    <message>
        <source>Ctrl+Tab goes to the next tab</source>
        <translation>Strg+Tab wechselt zum nächsten Tab</translation>
    </message>
    <message>
        <source>Ctrl+{n}</source>
        <translation>Strg+{n}</translation>
    </message>
    <message>
        <source>DNS names of containers</source>
        <translation>DNS-Namen von Containern</translation>
    </message>
    <message>
        <source>Dangling images have lost their tags to newer builds and pulls. Images used by any container, running or stopped, are kept.</source>
        <translation>Unbenannte (dangling) Images haben ihre Tags an neuere Builds und Pulls verloren. Images von Containern, laufend oder gestoppt, bleiben erhalten.</translation>
    </message>
    <message>
        <source>Dark</source>
        <translation>Dunkel</translation>
    </message>
    <message>
        <source>Dark colours</source>
        <translation>Dunkle Farben</translation>
    </message>
    <message>
        <source>Data in the container&apos;s writable layer. It is deleted with the container.</source>
        <translation>Daten im beschreibbaren Layer des Containers. Sie werden mit dem Container gelöscht.</translation>
    </message>
    <message>
        <source>Data of {time} that only this snapshot has is permanently deleted. It uses {size}.</source>
        <translation>Daten vom {time}, die nur noch dieser Snapshot enthält, werden endgültig gelöscht. Er belegt {size}.</translation>
    </message>
    <message>
        <source>Default: {value}</source>
        <translation>Standard: {value}</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message numerus="yes">
        <source>Delete %n containers?</source>
        <comment>Delete {name}?</comment>
        <translation>
            <numerusform>{name} löschen?</numerusform>
            <numerusform>%n Container löschen?</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Delete %n images?</source>
        <comment>Delete {name}?</comment>
        <translation>
            <numerusform>{name} löschen?</numerusform>
            <numerusform>%n Images löschen?</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Delete %n networks?</source>
        <comment>Delete the network {name}?</comment>
        <translation>
            <numerusform>Netzwerk {name} löschen?</numerusform>
            <numerusform>%n Netzwerke löschen?</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Delete %n volumes?</source>
        <comment>Delete the volume {name}?</comment>
        <translation>
            <numerusform>Volume {name} löschen?</numerusform>
            <numerusform>%n Volumes löschen?</numerusform>
        </translation>
    </message>
    <message>
        <source>Delete by force</source>
        <translation>Löschen erzwingen</translation>
    </message>
    <message>
        <source>Delete stopped containers…</source>
        <translation>Gestoppte Container löschen…</translation>
    </message>
    <message>
        <source>Delete the container when it ends</source>
        <translation>Container am Ende löschen</translation>
    </message>
    <message>
        <source>Delete the snapshot {name}</source>
        <translation>Den Snapshot {name} löschen</translation>
    </message>
    <message>
        <source>Delete the snapshot {name}?</source>
        <translation>Den Snapshot {name} löschen?</translation>
    </message>
    <message numerus="yes">
        <source>Delete these containers first: stopping them is not enough.</source>
        <comment>Delete that container first: stopping it is not enough.</comment>
        <translation>
            <numerusform>Zuerst diesen Container löschen: Stoppen reicht nicht.</numerusform>
            <numerusform>Zuerst diese Container löschen: Stoppen reicht nicht.</numerusform>
        </translation>
    </message>
    <message>
        <source>Delete unused images</source>
        <translation>Unbenutzte Images löschen</translation>
    </message>
    <message>
        <source>Delete unused images…</source>
        <translation>Unbenutzte Images löschen…</translation>
    </message>
    <message>
        <source>Delete unused networks</source>
        <translation>Unbenutzte Netzwerke löschen</translation>
    </message>
    <message>
        <source>Delete unused networks…</source>
        <translation>Unbenutzte Netzwerke löschen…</translation>
    </message>
    <message>
        <source>Delete unused volumes</source>
        <translation>Unbenutzte Volumes löschen</translation>
    </message>
    <message>
        <source>Delete unused volumes…</source>
        <translation>Unbenutzte Volumes löschen…</translation>
    </message>
    <message>
        <source>Delete {name}</source>
        <translation>{name} löschen</translation>
    </message>
    <message>
        <source>Delete, after a question</source>
        <translation>Löschen, nach Rückfrage</translation>
    </message>
    <message>
        <source>Deletes the virtual machine with everything in it, and all settings, as before the first start.</source>
        <translation>Löscht die virtuelle Maschine mit ihrem gesamten Inhalt und alle Einstellungen, wie vor dem ersten Start.</translation>
    </message>
    <message>
        <source>Delete…</source>
        <translation>Löschen…</translation>
    </message>
    <message>
        <source>Deleting unused volumes</source>
        <translation>Unbenutzte Volumes werden gelöscht</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>Details</translation>
    </message>
    <message>
        <source>Digests</source>
        <translation>Digests</translation>
    </message>
    <message>
        <source>Disconnect</source>
        <translation>Trennen</translation>
    </message>
    <message>
        <source>Disconnect {container} from {network}</source>
        <translation>{container} von {network} trennen</translation>
    </message>
    <message>
        <source>Disconnected first, while running: {names}.</source>
        <translation>Laufend, werden zuerst getrennt: {names}.</translation>
    </message>
    <message>
        <source>Disk</source>
        <translation>Datenträger</translation>
    </message>
    <message>
        <source>Disk read + write</source>
        <translation>Lesen + Schreiben</translation>
    </message>
    <message>
        <source>Disk size</source>
        <translation>Größe des Datenträgers</translation>
    </message>
    <message>
        <source>Disk usage limit for images, containers and volumes. It can be raised, but not lowered.</source>
        <translation>Speicherplatz, den Images, Container und Volumes höchstens belegen. Der Wert lässt sich erhöhen, aber nicht verringern.</translation>
    </message>
    <message>
        <source>Disk usage of images, volumes and the build cache is calculated on request.</source>
        <translation>Der Speicherbedarf von Images, Volumes und Build-Cache wird auf Wunsch berechnet.</translation>
    </message>
    <message>
        <source>Disk {used} of {whole}</source>
        <translation>Datenträger {used} von {whole}</translation>
    </message>
    <message>
        <source>Docker Engine</source>
        <translation>Docker Engine</translation>
    </message>
    <message>
        <source>Docker Engine of the guest image. stable: that of Debian&apos;s stable release; latest: of its next release; docker: of Docker&apos;s own packages. automatic: a new machine takes latest, or stable if latest is not available, and keeps it.</source>
        <translation>Docker Engine des Gast-Images. stable: die der stabilen Debian-Version; latest: die der nächsten; docker: die aus Dockers eigenen Paketen. automatic: Eine neue Maschine nimmt latest, oder stable, wenn latest nicht verfügbar ist, und behält das.</translation>
    </message>
    <message>
        <source>Docker cannot change these settings of a container, so a new one is created from the same image. The old one is kept until the new one runs. Volumes are reused; files outside volumes are lost.</source>
        <translation>Docker kann diese Einstellungen eines Containers nicht ändern, daher wird aus demselben Image ein neuer erstellt. Der alte bleibt, bis der neue läuft. Volumes werden übernommen; Dateien außerhalb von Volumes gehen verloren.</translation>
    </message>
    <message>
        <source>Docker context</source>
        <translation>Docker-Kontext</translation>
    </message>
    <message>
        <source>Docker needs 6 MiB at least.</source>
        <translation>Docker braucht mindestens 6 MiB.</translation>
    </message>
    <message>
        <source>Docker on this computer</source>
        <translation>Docker auf diesem Computer</translation>
    </message>
    <message>
        <source>Docker stores logins in a plain file, because the setting for the keyring is off.</source>
        <translation>Docker speichert Anmeldungen in einer Klartextdatei, weil der Schlüsselbund in den Einstellungen ausgeschaltet ist.</translation>
    </message>
    <message>
        <source>Docker {version} · API {api}</source>
        <translation>Docker {version} · API {api}</translation>
    </message>
    <message>
        <source>Docker&apos;s apt repository</source>
        <translation>Dockers apt-Quelle</translation>
    </message>
    <message numerus="yes">
        <source>Download %n items</source>
        <comment>Download {name}</comment>
        <translation>
            <numerusform>{name} herunterladen</numerusform>
            <numerusform>%n Einträge herunterladen</numerusform>
        </translation>
    </message>
    <message>
        <source>Download the selection</source>
        <translation>Auswahl herunterladen</translation>
    </message>
    <message>
        <source>Download to</source>
        <translation>Herunterladen nach</translation>
    </message>
    <message>
        <source>Download…</source>
        <translation>Herunterladen…</translation>
    </message>
    <message>
        <source>Driver</source>
        <translation>Treiber</translation>
    </message>
    <message>
        <source>Drop files here to upload them.</source>
        <translation>Dateien zum Hochladen hierher ziehen.</translation>
    </message>
    <message>
        <source>Drop to upload to {folder}</source>
        <translation>Loslassen, um nach {folder} hochzuladen</translation>
    </message>
    <message>
        <source>Dropped</source>
        <translation>Entzogen</translation>
    </message>
    <message>
        <source>Empty folder</source>
        <translation>Leerer Ordner</translation>
    </message>
    <message>
        <source>Empty: the engine chooses a free one.</source>
        <translation>Leer: die Engine wählt ein freies.</translation>
    </message>
    <message>
        <source>Engine</source>
        <translation>Engine</translation>
    </message>
    <message>
        <source>Engine running</source>
        <translation>Engine läuft</translation>
    </message>
    <message>
        <source>Engine stopped</source>
        <translation>Engine gestoppt</translation>
    </message>
    <message>
        <source>Enter a driver.</source>
        <translation>Einen Treiber angeben.</translation>
    </message>
    <message>
        <source>Enter a name and a tag, not a digest.</source>
        <translation>Name und Tag angeben, keinen Digest.</translation>
    </message>
    <message>
        <source>Enter a name.</source>
        <translation>Einen Namen angeben.</translation>
    </message>
    <message>
        <source>Enter a password or token.</source>
        <translation>Ein Passwort oder Token angeben.</translation>
    </message>
    <message>
        <source>Enter a path</source>
        <translation>Pfad eingeben</translation>
    </message>
    <message>
        <source>Enter a user name.</source>
        <translation>Einen Benutzernamen angeben.</translation>
    </message>
    <message>
        <source>Enter a volume name, or a host path that begins with /.</source>
        <translation>Den Namen eines Volumes oder einen Pfad des Hosts angeben, der mit / beginnt.</translation>
    </message>
    <message>
        <source>Enter an address with a prefix length, for example {example}.</source>
        <translation>Eine Adresse mit Präfixlänge angeben, zum Beispiel {example}.</translation>
    </message>
    <message>
        <source>Enter an address, for example {example}.</source>
        <translation>Eine Adresse angeben, zum Beispiel {example}.</translation>
    </message>
    <message>
        <source>Entry point</source>
        <translation>Entrypoint</translation>
    </message>
    <message>
        <source>Environment</source>
        <translation>Umgebung</translation>
    </message>
    <message>
        <source>Environment variables</source>
        <translation>Umgebungsvariablen</translation>
    </message>
    <message>
        <source>Every published port is open</source>
        <translation>Jeder veröffentlichte Port ist offen</translation>
    </message>
    <message>
        <source>Every step of the next start is shown here with its time.</source>
        <translation>Hier erscheint jeder Schritt des nächsten Starts mit seiner Dauer.</translation>
    </message>
    <message>
        <source>Everywhere</source>
        <translation>Überall</translation>
    </message>
    <message>
        <source>Expand all</source>
        <translation>Alles aufklappen</translation>
    </message>
    <message>
        <source>Export to a tar…</source>
        <translation>Als Tar-Datei exportieren…</translation>
    </message>
    <message>
        <source>Export {name}</source>
        <translation>{name} exportieren</translation>
    </message>
    <message>
        <source>Export…</source>
        <translation>Exportieren…</translation>
    </message>
    <message>
        <source>Fewer options</source>
        <translation>Weniger Optionen</translation>
    </message>
    <message>
        <source>File sharing implementation</source>
        <translation>Technik der Dateifreigabe</translation>
    </message>
    <message>
        <source>File system</source>
        <translation>Dateisystem</translation>
    </message>
    <message>
        <source>Files</source>
        <translation>Dateien</translation>
    </message>
    <message>
        <source>Files of the layer</source>
        <translation>Dateien des Layers</translation>
    </message>
    <message>
        <source>Files of this layer</source>
        <translation>Dateien dieses Layers</translation>
    </message>
    <message>
        <source>Files outside volumes are lost.</source>
        <translation>Dateien außerhalb von Volumes gehen verloren.</translation>
    </message>
    <message>
        <source>Files that are in the tar and in the volume are replaced by those of the tar.</source>
        <translation>Dateien, die in der Tar-Datei und im Volume vorkommen, werden durch die der Tar-Datei ersetzt.</translation>
    </message>
    <message>
        <source>Filter</source>
        <translation>Filtern</translation>
    </message>
    <message>
        <source>Filter the changed files</source>
        <translation>Geänderte Dateien filtern</translation>
    </message>
    <message>
        <source>Filter the files</source>
        <translation>Dateien filtern</translation>
    </message>
    <message>
        <source>Filter {title}</source>
        <translation>{title} filtern</translation>
    </message>
    <message>
        <source>Filter, or search</source>
        <translation>Filtern oder suchen</translation>
    </message>
    <message>
        <source>Find</source>
        <translation>Suchen</translation>
    </message>
    <message>
        <source>Find any action or object</source>
        <translation>Jede Aktion und jedes Objekt finden</translation>
    </message>
    <message>
        <source>Find containers that share a namespace</source>
        <translation>Container mit gemeinsamem Namespace suchen</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <source>Folder above</source>
        <translation>Übergeordneter Ordner</translation>
    </message>
    <message>
        <source>Folders of this computer that containers can bind mount; ~ is your home folder. In folders of all users, such as /tmp, only your own files.</source>
        <translation>Ordner dieses Computers, die Container als Bind-Mount verwenden können; ~ ist das Home-Verzeichnis. In Ordnern aller Benutzer, wie /tmp, nur die eigenen Dateien.</translation>
    </message>
    <message>
        <source>Folders that containers can bind mount, but not change.</source>
        <translation>Ordner, die Container als Bind-Mount verwenden, aber nicht ändern können.</translation>
    </message>
    <message>
        <source>Follow</source>
        <translation>Folgen</translation>
    </message>
    <message>
        <source>Follow new output</source>
        <translation>Neuer Ausgabe folgen</translation>
    </message>
    <message>
        <source>For example nginx, nginx:1.27 or example.com/team/app:1</source>
        <translation>Zum Beispiel nginx, nginx:1.27 oder example.com/team/app:1</translation>
    </message>
    <message numerus="yes">
        <source>Forced deletion removes the tags and, unless running containers use them, the files of the images. Containers that use them are kept, but cannot be recreated from these tags.</source>
        <comment>Forced deletion removes the tag and, unless a running container uses them, the files of the image. Containers that use it are kept, but cannot be recreated from this tag.</comment>
        <translation>
            <numerusform>Das Erzwingen entfernt den Tag und, sofern kein laufender Container sie verwendet, die Dateien des Images. Container, die es verwenden, bleiben erhalten, lassen sich aber nicht mehr aus diesem Tag neu erstellen.</numerusform>
            <numerusform>Das Erzwingen entfernt die Tags und, sofern kein laufender Container sie verwendet, die Dateien der Images. Container, die sie verwenden, bleiben erhalten, lassen sich aber nicht mehr aus diesen Tags neu erstellen.</numerusform>
        </translation>
    </message>
    <message>
        <source>From a file</source>
        <translation>Aus einer Datei</translation>
    </message>
    <message>
        <source>From a file ▾</source>
        <translation>Aus Datei ▾</translation>
    </message>
    <message>
        <source>Galley</source>
        <translation>Galley</translation>
    </message>
    <message>
        <source>Galley VM</source>
        <translation>Galley VM</translation>
    </message>
    <message>
        <source>Galley runs Linux containers on this computer, in a small virtual machine of its own. It is free and open source, and it works with the docker command you know.</source>
        <translation>Galley führt Linux-Container auf diesem Computer aus, in einer kleinen eigenen virtuellen Maschine. Galley ist frei, quelloffen und arbeitet mit dem bekannten Befehl docker.</translation>
    </message>
    <message>
        <source>Galley was reset</source>
        <translation>Galley wurde zurückgesetzt</translation>
    </message>
    <message>
        <source>Galley&apos;s background process</source>
        <translation>Hintergrundprozess von Galley</translation>
    </message>
    <message>
        <source>Galley&apos;s background process does not answer.</source>
        <translation>Der Hintergrundprozess von Galley antwortet nicht.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process runs</source>
        <translation>Galleys Hintergrundprozess läuft</translation>
    </message>
    <message>
        <source>Galley&apos;s folders can be written</source>
        <translation>Galleys Ordner sind beschreibbar</translation>
    </message>
    <message>
        <source>Gateway</source>
        <translation>Gateway</translation>
    </message>
    <message>
        <source>Get the image again</source>
        <translation>Image neu holen</translation>
    </message>
    <message>
        <source>Go to the engine</source>
        <translation>Zur Engine</translation>
    </message>
    <message>
        <source>Guest image</source>
        <translation>Gast-Image</translation>
    </message>
    <message>
        <source>Help</source>
        <translation>Hilfe</translation>
    </message>
    <message>
        <source>Hide</source>
        <translation>Ausblenden</translation>
    </message>
    <message>
        <source>Hide details</source>
        <translation>Details ausblenden</translation>
    </message>
    <message>
        <source>Hide security</source>
        <translation>Sicherheit ausblenden</translation>
    </message>
    <message>
        <source>Hide settings from Galley</source>
        <translation>Einstellungen von Galley ausblenden</translation>
    </message>
    <message>
        <source>Host address for ports published without one, such as 8080:80. 0.0.0.0 accepts connections from other computers.</source>
        <translation>Adresse des Hosts für Ports, die ohne Adresse veröffentlicht werden, etwa 8080:80. 0.0.0.0 nimmt Verbindungen von anderen Computern an.</translation>
    </message>
    <message>
        <source>Host and port. Empty: Docker Hub.</source>
        <translation>Host und Port. Leer: Docker Hub.</translation>
    </message>
    <message>
        <source>Host names and addresses, if the proxy is set to manual. This computer is always bypassed.</source>
        <translation>Hostnamen und Adressen, wenn der Proxy auf manual steht. Für diesen Computer gilt der Proxy nie.</translation>
    </message>
    <message>
        <source>ID</source>
        <translation>ID</translation>
    </message>
    <message>
        <source>Image</source>
        <translation>Image</translation>
    </message>
    <message>
        <source>Image channel</source>
        <translation>Image-Kanal</translation>
    </message>
    <message>
        <source>Image feed</source>
        <translation>Image-Feed</translation>
    </message>
    <message>
        <source>Image name and tag or digest, for example nginx:1.27</source>
        <translation>Name des Images und Tag oder Digest, zum Beispiel nginx:1.27</translation>
    </message>
    <message>
        <source>Image updates</source>
        <translation>Image-Aktualisierungen</translation>
    </message>
    <message>
        <source>Images</source>
        <translation>Images</translation>
    </message>
    <message>
        <source>Images and named volumes are kept.</source>
        <translation>Images und benannte Volumes bleiben erhalten.</translation>
    </message>
    <message>
        <source>Images were saved</source>
        <translation>Images wurden gespeichert</translation>
    </message>
    <message>
        <source>Images, containers and volumes are kept.</source>
        <translation>Images, Container und Volumes bleiben erhalten.</translation>
    </message>
    <message>
        <source>Images, containers and volumes can be restored to their present state.</source>
        <translation>Images, Container und Volumes lassen sich auf den jetzigen Stand zurücksetzen.</translation>
    </message>
    <message>
        <source>Images, containers and volumes return to their state at {time}. Later changes are lost, and running containers are stopped.</source>
        <translation>Images, Container und Volumes erhalten wieder den Stand vom {time}. Spätere Änderungen gehen verloren, und laufende Container werden gestoppt.</translation>
    </message>
    <message>
        <source>Import</source>
        <translation>Importieren</translation>
    </message>
    <message>
        <source>Import a root file system…</source>
        <translation>Root-Dateisystem importieren…</translation>
    </message>
    <message>
        <source>Import a tar file</source>
        <translation>Tar-Datei importieren</translation>
    </message>
    <message>
        <source>Import a volume from a tar…</source>
        <translation>Volume aus Tar-Datei importieren…</translation>
    </message>
    <message>
        <source>Import from a tar</source>
        <translation>Aus Tar-Datei importieren</translation>
    </message>
    <message>
        <source>Import from a tar…</source>
        <translation>Aus Tar-Datei importieren…</translation>
    </message>
    <message>
        <source>Import {file} into {name}</source>
        <translation>{file} in {name} importieren</translation>
    </message>
    <message>
        <source>Import {file} into {name}?</source>
        <translation>{file} in {name} importieren?</translation>
    </message>
    <message>
        <source>Import {name}</source>
        <translation>{name} importieren</translation>
    </message>
    <message>
        <source>Import…</source>
        <translation>Import…</translation>
    </message>
    <message>
        <source>In a list</source>
        <translation>In einer Liste</translation>
    </message>
    <message>
        <source>In a log</source>
        <translation>In einem Log</translation>
    </message>
    <message>
        <source>In {subnets}. Empty: the engine chooses one.</source>
        <translation>In {subnets}. Leer: die Engine wählt eine.</translation>
    </message>
    <message>
        <source>Include the memory</source>
        <translation>Arbeitsspeicher einschließen</translation>
    </message>
    <message>
        <source>Inside</source>
        <translation>Innenleben</translation>
    </message>
    <message>
        <source>Inspect</source>
        <translation>Inspizieren</translation>
    </message>
    <message>
        <source>Inspecting {name}</source>
        <translation>{name} wird untersucht</translation>
    </message>
    <message>
        <source>Internal</source>
        <translation>Intern</translation>
    </message>
    <message>
        <source>Internal error in Galley: {error}.</source>
        <translation>Interner Fehler in Galley: {error}.</translation>
    </message>
    <message>
        <source>Internal: no access to external networks</source>
        <translation>Intern: kein Zugriff auf externe Netzwerke</translation>
    </message>
    <message>
        <source>Into a new volume</source>
        <translation>In ein neues Volume</translation>
    </message>
    <message>
        <source>Into an existing volume</source>
        <translation>In ein vorhandenes Volume</translation>
    </message>
    <message>
        <source>Isolation</source>
        <translation>Isolation</translation>
    </message>
    <message>
        <source>It cannot be deleted.</source>
        <translation>Das Netzwerk lässt sich nicht löschen.</translation>
    </message>
    <message>
        <source>It is not running.</source>
        <translation>Die Engine läuft nicht.</translation>
    </message>
    <message>
        <source>It is running and will be killed first.</source>
        <translation>Er läuft und wird zuerst beendet.</translation>
    </message>
    <message>
        <source>It is starting.</source>
        <translation>Die Engine startet gerade.</translation>
    </message>
    <message>
        <source>It is stopping.</source>
        <translation>Die Engine wird gerade gestoppt.</translation>
    </message>
    <message>
        <source>It must be {allowed}.</source>
        <translation>Zulässig: {allowed}.</translation>
    </message>
    <message>
        <source>It restarts automatically.</source>
        <translation>Sie startet automatisch neu.</translation>
    </message>
    <message>
        <source>It was deleted.</source>
        <translation>Er wurde gelöscht.</translation>
    </message>
    <message>
        <source>Its password or token is deleted from this computer.</source>
        <translation>Das Passwort oder Token wird von diesem Computer gelöscht.</translation>
    </message>
    <message>
        <source>Its settings are lost.</source>
        <translation>Seine Einstellungen gehen verloren.</translation>
    </message>
    <message>
        <source>JSON</source>
        <translation>JSON</translation>
    </message>
    <message>
        <source>Kept: folders of this computer that containers use, other Docker engines, the guest image and the logs in {folder}.</source>
        <translation>Erhalten bleiben: Ordner dieses Computers, die Container verwenden, andere Docker-Engines, das Gast-Image und die Logs in {folder}.</translation>
    </message>
    <message>
        <source>Key</source>
        <translation>Schlüssel</translation>
    </message>
    <message>
        <source>Key of the image feed</source>
        <translation>Schlüssel des Image-Feeds</translation>
    </message>
    <message>
        <source>Keyboard</source>
        <translation>Tastatur</translation>
    </message>
    <message>
        <source>Kill</source>
        <translation>Beenden erzwingen</translation>
    </message>
    <message>
        <source>Kill {name}</source>
        <translation>Beenden von {name} erzwingen</translation>
    </message>
    <message>
        <source>Kind</source>
        <translation>Art</translation>
    </message>
    <message>
        <source>Labels</source>
        <translation>Labels</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
    <message>
        <source>Last start</source>
        <translation>Letzter Start</translation>
    </message>
    <message>
        <source>Layer without an instruction</source>
        <translation>Layer ohne Anweisung</translation>
    </message>
    <message>
        <source>Layers</source>
        <translation>Layer</translation>
    </message>
    <message>
        <source>Letters, digits and . _ -, and a letter or digit first.</source>
        <translation>Buchstaben, Ziffern und . _ -, am Anfang ein Buchstabe oder eine Ziffer.</translation>
    </message>
    <message>
        <source>Light</source>
        <translation>Hell</translation>
    </message>
    <message>
        <source>Light colours</source>
        <translation>Helle Farben</translation>
    </message>
    <message>
        <source>Light, dark, or the same as the system.</source>
        <translation>Hell, dunkel oder wie im System.</translation>
    </message>
    <message>
        <source>Limit of the engine.</source>
        <translation>Grenze der Engine.</translation>
    </message>
    <message>
        <source>Limits</source>
        <translation>Limits</translation>
    </message>
    <message>
        <source>List</source>
        <translation>Liste</translation>
    </message>
    <message>
        <source>List the files of a layer</source>
        <translation>Dateien eines Layers auflisten</translation>
    </message>
    <message>
        <source>Load images from a tar file</source>
        <translation>Images aus einer Tar-Datei laden</translation>
    </message>
    <message>
        <source>Load images from a tar file…</source>
        <translation>Images aus einer Tar-Datei laden…</translation>
    </message>
    <message>
        <source>Load {name}</source>
        <translation>{name} laden</translation>
    </message>
    <message>
        <source>Log</source>
        <translation>Log</translation>
    </message>
    <message>
        <source>Log in</source>
        <translation>Anmelden</translation>
    </message>
    <message>
        <source>Log in to a registry</source>
        <translation>An einer Registry anmelden</translation>
    </message>
    <message>
        <source>Log in…</source>
        <translation>Anmelden…</translation>
    </message>
    <message>
        <source>Log out</source>
        <translation>Abmelden</translation>
    </message>
    <message>
        <source>Log out of {server}</source>
        <translation>Von {server} abmelden</translation>
    </message>
    <message>
        <source>Log out of {server}?</source>
        <translation>Von {server} abmelden?</translation>
    </message>
    <message>
        <source>Logins in the keyring</source>
        <translation>Anmeldungen im Schlüsselbund</translation>
    </message>
    <message>
        <source>Logins that docker and this window use to pull and push them.</source>
        <translation>Anmeldungen, mit denen docker und dieses Fenster sie pullen und pushen.</translation>
    </message>
    <message>
        <source>Logs</source>
        <translation>Logs</translation>
    </message>
    <message>
        <source>Logs of Galley</source>
        <translation>Logs von Galley</translation>
    </message>
    <message>
        <source>Logs of the engine</source>
        <translation>Logs der Engine</translation>
    </message>
    <message>
        <source>Look daily for security fixes of the guest image. automatic also downloads or builds the new image, which the next start uses; ask only reports it.</source>
        <translation>Täglich nach Sicherheitskorrekturen für das Gast-Image suchen. automatic lädt oder baut auch das neue Image, das der nächste Start verwendet; ask meldet es nur.</translation>
    </message>
    <message>
        <source>Machine</source>
        <translation>Maschine</translation>
    </message>
    <message>
        <source>Map</source>
        <translation>Karte</translation>
    </message>
    <message>
        <source>Map of networks</source>
        <translation>Karte der Netzwerke</translation>
    </message>
    <message>
        <source>Map of networks: {what}</source>
        <translation>Karte der Netzwerke: {what}</translation>
    </message>
    <message>
        <source>Memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>Memory limit of the virtual machine.</source>
        <translation>Arbeitsspeicher, den die virtuelle Maschine höchstens belegt.</translation>
    </message>
    <message>
        <source>Memory of this computer in use. Inside the machine: {inside}, by containers: {containers}.</source>
        <translation>Belegter Arbeitsspeicher dieses Computers. In der Maschine: {inside}, von Containern: {containers}.</translation>
    </message>
    <message>
        <source>Memory {size}</source>
        <translation>Speicher {size}</translation>
    </message>
    <message>
        <source>Mode</source>
        <translation>Rechte</translation>
    </message>
    <message>
        <source>Modified</source>
        <translation>Geändert</translation>
    </message>
    <message>
        <source>More</source>
        <translation>Mehr</translation>
    </message>
    <message>
        <source>More actions</source>
        <translation>Weitere Aktionen</translation>
    </message>
    <message>
        <source>More options</source>
        <translation>Weitere Optionen</translation>
    </message>
    <message>
        <source>Move logins to the keyring</source>
        <translation>Anmeldungen in den Schlüsselbund verschieben</translation>
    </message>
    <message>
        <source>Move to the keyring</source>
        <translation>In den Schlüsselbund verschieben</translation>
    </message>
    <message>
        <source>NAME</source>
        <translation>NAME</translation>
    </message>
    <message>
        <source>NAME=value, one per line</source>
        <translation>NAME=Wert, einer pro Zeile</translation>
    </message>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>Name of the image</source>
        <translation>Name des Images</translation>
    </message>
    <message>
        <source>Name of the new volume</source>
        <translation>Name des neuen Volumes</translation>
    </message>
    <message>
        <source>Name of the variable</source>
        <translation>Name der Variable</translation>
    </message>
    <message>
        <source>Names</source>
        <translation>Namen</translation>
    </message>
    <message>
        <source>Namespaces</source>
        <translation>Namespaces</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>Networks</source>
        <translation>Netzwerke</translation>
    </message>
    <message>
        <source>Networks without running containers. A stopped container that uses one of them cannot start until it is connected to another.</source>
        <translation>Netzwerke ohne laufende Container. Ein gestoppter Container, der eines davon verwendet, startet erst wieder, wenn er mit einem anderen verbunden ist.</translation>
    </message>
    <message>
        <source>New name</source>
        <translation>Neuer Name</translation>
    </message>
    <message>
        <source>New privileges</source>
        <translation>Neue Privilegien</translation>
    </message>
    <message>
        <source>Next match</source>
        <translation>Nächster Treffer</translation>
    </message>
    <message>
        <source>No checks have run yet.</source>
        <translation>Noch wurden keine Prüfungen ausgeführt.</translation>
    </message>
    <message>
        <source>No container is connected. Containers on this network reach each other by name.</source>
        <translation>Kein Container ist verbunden. Container in diesem Netzwerk erreichen einander über ihren Namen.</translation>
    </message>
    <message>
        <source>No container is deleted.</source>
        <translation>Es wird kein Container gelöscht.</translation>
    </message>
    <message>
        <source>No container uses it.</source>
        <translation>Kein Container verwendet es.</translation>
    </message>
    <message>
        <source>No container uses it. It can be deleted.</source>
        <translation>Kein Container verwendet es. Es kann gelöscht werden.</translation>
    </message>
    <message>
        <source>No container uses them.</source>
        <translation>Kein Container verwendet sie.</translation>
    </message>
    <message>
        <source>No containers are running.</source>
        <translation>Es laufen keine Container.</translation>
    </message>
    <message>
        <source>No containers yet</source>
        <translation>Noch keine Container</translation>
    </message>
    <message>
        <source>No engine yet</source>
        <translation>Noch keine Engine</translation>
    </message>
    <message>
        <source>No images yet</source>
        <translation>Noch keine Images</translation>
    </message>
    <message>
        <source>No networks yet</source>
        <translation>Noch keine Netzwerke</translation>
    </message>
    <message>
        <source>No output yet</source>
        <translation>Noch keine Ausgabe</translation>
    </message>
    <message>
        <source>No readings yet</source>
        <translation>Noch keine Messwerte</translation>
    </message>
    <message>
        <source>No setting matches the search.</source>
        <translation>Keine Einstellung passt zur Suche.</translation>
    </message>
    <message>
        <source>No stopped containers</source>
        <translation>Keine gestoppten Container</translation>
    </message>
    <message>
        <source>No tasks yet. What you start appears here.</source>
        <translation>Noch keine Aufgaben. Gestartetes erscheint hier.</translation>
    </message>
    <message>
        <source>No volumes yet</source>
        <translation>Noch keine Volumes</translation>
    </message>
    <message>
        <source>None: the container is not running.</source>
        <translation>Keine: Der Container läuft nicht.</translation>
    </message>
    <message>
        <source>Not available locally: pulled first.</source>
        <translation>Lokal nicht vorhanden: wird zuerst gepullt.</translation>
    </message>
    <message>
        <source>Nothing is changed yet.</source>
        <translation>Noch ist nichts geändert.</translation>
    </message>
    <message>
        <source>Nothing matches</source>
        <translation>Keine Treffer</translation>
    </message>
    <message>
        <source>Number of CPUs of the virtual machine.</source>
        <translation>Anzahl der CPUs der virtuellen Maschine.</translation>
    </message>
    <message>
        <source>Off</source>
        <translation>Aus</translation>
    </message>
    <message>
        <source>On</source>
        <translation>An</translation>
    </message>
    <message>
        <source>One file with logs, settings and versions. Known secrets are removed; names of containers, images and folders are not.</source>
        <translation>Eine Datei mit Logs, Einstellungen und Versionen. Bekannte Geheimnisse werden entfernt; Namen von Containern, Images und Ordnern nicht.</translation>
    </message>
    <message>
        <source>Only the first {size} are shown.</source>
        <translation>Nur die ersten {size} werden angezeigt.</translation>
    </message>
    <message numerus="yes">
        <source>Only these tags are removed.</source>
        <comment>Only this tag is removed.</comment>
        <translation>
            <numerusform>Nur dieser Tag wird entfernt.</numerusform>
            <numerusform>Nur diese Tags werden entfernt.</numerusform>
        </translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Open Galley</source>
        <translation>Galley öffnen</translation>
    </message>
    <message>
        <source>Open a new one</source>
        <translation>Neue Sitzung</translation>
    </message>
    <message>
        <source>Open a terminal in it afterwards</source>
        <translation>Danach ein Terminal darin öffnen</translation>
    </message>
    <message>
        <source>Open port {port} in the browser</source>
        <translation>Port {port} im Browser öffnen</translation>
    </message>
    <message>
        <source>Open the folder</source>
        <translation>Ordner öffnen</translation>
    </message>
    <message>
        <source>Open the selection</source>
        <translation>Auswahl öffnen</translation>
    </message>
    <message>
        <source>Open the settings</source>
        <translation>Einstellungen öffnen</translation>
    </message>
    <message>
        <source>Open {name}</source>
        <translation>{name} öffnen</translation>
    </message>
    <message>
        <source>Or delete the containers first; then force is not needed.</source>
        <translation>Oder zuerst die Container löschen; dann ist kein Erzwingen nötig.</translation>
    </message>
    <message>
        <source>Other files in the folder are kept.</source>
        <translation>Andere Dateien im Ordner bleiben erhalten.</translation>
    </message>
    <message>
        <source>Other files in the volume are kept.</source>
        <translation>Andere Dateien im Volume bleiben erhalten.</translation>
    </message>
    <message>
        <source>Output of docker inspect</source>
        <translation>Ausgabe von docker inspect</translation>
    </message>
    <message>
        <source>Output of docker inspect, as JSON</source>
        <translation>Ausgabe von docker inspect, als JSON</translation>
    </message>
    <message>
        <source>Output of the container appears here.</source>
        <translation>Hier erscheint die Ausgabe des Containers.</translation>
    </message>
    <message>
        <source>Password or token</source>
        <translation>Passwort oder Token</translation>
    </message>
    <message>
        <source>Paste</source>
        <translation>Einfügen</translation>
    </message>
    <message>
        <source>Path</source>
        <translation>Pfad</translation>
    </message>
    <message>
        <source>Path in the container</source>
        <translation>Pfad im Container</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Pausieren</translation>
    </message>
    <message>
        <source>Pause even if containers run, as long as they use no CPU. A connection to a published port resumes the virtual machine.</source>
        <translation>Auch pausieren, wenn Container laufen, solange sie keine CPU verwenden. Eine Verbindung zu einem veröffentlichten Port setzt die virtuelle Maschine fort.</translation>
    </message>
    <message>
        <source>Pause the virtual machine after this much idle time. It resumes on first use.</source>
        <translation>Die virtuelle Maschine nach dieser Zeit im Leerlauf pausieren. Bei der ersten Verwendung wird sie fortgesetzt.</translation>
    </message>
    <message>
        <source>Pause when idle for</source>
        <translation>Pausieren bei Leerlauf nach</translation>
    </message>
    <message>
        <source>Pause with idle containers</source>
        <translation>Auch mit untätigen Containern pausieren</translation>
    </message>
    <message>
        <source>Pause {name}</source>
        <translation>{name} pausieren</translation>
    </message>
    <message>
        <source>Paused: it keeps its memory and uses no CPU.</source>
        <translation>Pausiert: behält seinen Arbeitsspeicher und braucht keine CPU.</translation>
    </message>
    <message>
        <source>Platform</source>
        <translation>Plattform</translation>
    </message>
    <message>
        <source>Please report it with the details.</source>
        <translation>Bitte mit den Details melden.</translation>
    </message>
    <message>
        <source>Port in the container</source>
        <translation>Port im Container</translation>
    </message>
    <message>
        <source>Port of the host</source>
        <translation>Port des Hosts</translation>
    </message>
    <message>
        <source>Port {port} of the host is listed twice.</source>
        <translation>Port {port} des Hosts kommt zweimal vor.</translation>
    </message>
    <message>
        <source>Ports</source>
        <translation>Ports</translation>
    </message>
    <message>
        <source>Ports of containers with --network host are reachable on this computer.</source>
        <translation>Ports von Containern mit --network host sind auf diesem Computer erreichbar.</translation>
    </message>
    <message>
        <source>Ports of the host network</source>
        <translation>Ports des Host-Netzwerks</translation>
    </message>
    <message>
        <source>Press Enter to open a new one.</source>
        <translation>Enter öffnet eine neue.</translation>
    </message>
    <message>
        <source>Previous match</source>
        <translation>Vorheriger Treffer</translation>
    </message>
    <message>
        <source>Private images</source>
        <translation>Private Images</translation>
    </message>
    <message>
        <source>Privileged</source>
        <translation>Privilegiert</translation>
    </message>
    <message>
        <source>Processes</source>
        <translation>Prozesse</translation>
    </message>
    <message>
        <source>Program that runs the virtual machine.</source>
        <translation>Programm, das die virtuelle Maschine ausführt.</translation>
    </message>
    <message>
        <source>Progress of the checks</source>
        <translation>Fortschritt der Prüfungen</translation>
    </message>
    <message>
        <source>Protocol</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>Proxy</source>
        <translation>Proxy</translation>
    </message>
    <message>
        <source>Proxy for HTTP</source>
        <translation>Proxy für HTTP</translation>
    </message>
    <message>
        <source>Proxy for HTTPS</source>
        <translation>Proxy für HTTPS</translation>
    </message>
    <message>
        <source>Proxy of the engine and containers: this computer&apos;s settings (system), those given here (manual), or none.</source>
        <translation>Proxy der Engine und der Container: die Proxy-Einstellungen dieses Computers (system), die hier angegebenen (manual) oder keiner (none).</translation>
    </message>
    <message>
        <source>Pull</source>
        <translation>Pullen</translation>
    </message>
    <message>
        <source>Pull again</source>
        <translation>Erneut pullen</translation>
    </message>
    <message>
        <source>Pull an image</source>
        <translation>Image pullen</translation>
    </message>
    <message>
        <source>Pull an image…</source>
        <translation>Image pullen…</translation>
    </message>
    <message>
        <source>Pull one from a registry, build one, or load one from a file.</source>
        <translation>Ein Image aus einer Registry pullen, bauen oder aus einer Datei laden.</translation>
    </message>
    <message>
        <source>Pull {image}</source>
        <translation>{image} pullen</translation>
    </message>
    <message>
        <source>Pulled images are kept.</source>
        <translation>Gepullte Images bleiben erhalten.</translation>
    </message>
    <message>
        <source>Pull…</source>
        <translation>Pullen…</translation>
    </message>
    <message>
        <source>Push</source>
        <translation>Pushen</translation>
    </message>
    <message>
        <source>Push {image}</source>
        <translation>{image} pushen</translation>
    </message>
    <message>
        <source>Push…</source>
        <translation>Pushen…</translation>
    </message>
    <message>
        <source>QEMU&apos;s name of the CPU model. auto selects one for the accelerator.</source>
        <translation>CPU-Modell in der Schreibweise von QEMU. auto wählt eines passend zum Beschleuniger.</translation>
    </message>
    <message>
        <source>Querying the engine…</source>
        <translation>Engine wird abgefragt…</translation>
    </message>
    <message>
        <source>Querying the registry…</source>
        <translation>Registry wird abgefragt…</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Read it again</source>
        <translation>Erneut lesen</translation>
    </message>
    <message>
        <source>Read the folder again</source>
        <translation>Ordner neu lesen</translation>
    </message>
    <message>
        <source>Reading the layer. The engine exports the whole image for this.</source>
        <translation>Der Layer wird gelesen. Dazu exportiert die Engine das ganze Image.</translation>
    </message>
    <message>
        <source>Reading {path}…</source>
        <translation>{path} wird gelesen…</translation>
    </message>
    <message>
        <source>Reading…</source>
        <translation>Wird gelesen…</translation>
    </message>
    <message>
        <source>Ready since {time}.</source>
        <translation>Bereit seit {time}.</translation>
    </message>
    <message>
        <source>Recalculate</source>
        <translation>Neu berechnen</translation>
    </message>
    <message>
        <source>Recreate</source>
        <translation>Neu erstellen</translation>
    </message>
    <message>
        <source>Recreate with changes…</source>
        <translation>Geändert neu erstellen…</translation>
    </message>
    <message>
        <source>Recreate {name}</source>
        <translation>{name} neu erstellen</translation>
    </message>
    <message>
        <source>Refresh</source>
        <translation>Neu laden</translation>
    </message>
    <message>
        <source>Registry</source>
        <translation>Registry</translation>
    </message>
    <message>
        <source>Registry logins</source>
        <translation>Anmeldungen an Registrys</translation>
    </message>
    <message>
        <source>Registry logins are stored in the keyring</source>
        <translation>Anmeldungen an Registrys liegen im Schlüsselbund</translation>
    </message>
    <message>
        <source>Remap container users</source>
        <translation>Benutzer von Containern umsetzen</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Remove this row</source>
        <translation>Diese Zeile entfernen</translation>
    </message>
    <message>
        <source>Remove {folder}</source>
        <translation>{folder} entfernen</translation>
    </message>
    <message>
        <source>Rename</source>
        <translation>Umbenennen</translation>
    </message>
    <message>
        <source>Rename {name}</source>
        <translation>{name} umbenennen</translation>
    </message>
    <message>
        <source>Rename…</source>
        <translation>Umbenennen…</translation>
    </message>
    <message>
        <source>Replace</source>
        <translation>Ersetzen</translation>
    </message>
    <message numerus="yes">
        <source>Replace %n items?</source>
        <comment>Replace {name}?</comment>
        <translation>
            <numerusform>{name} ersetzen?</numerusform>
            <numerusform>%n Einträge ersetzen?</numerusform>
        </translation>
    </message>
    <message>
        <source>Reset</source>
        <translation>Zurücksetzen</translation>
    </message>
    <message>
        <source>Reset Galley</source>
        <translation>Galley zurücksetzen</translation>
    </message>
    <message>
        <source>Reset Galley?</source>
        <translation>Galley zurücksetzen?</translation>
    </message>
    <message>
        <source>Reset Galley…</source>
        <translation>Galley zurücksetzen…</translation>
    </message>
    <message>
        <source>Reset the setting {name}</source>
        <translation>Einstellung {name} zurücksetzen</translation>
    </message>
    <message>
        <source>Reset {setting}</source>
        <translation>{setting} zurücksetzen</translation>
    </message>
    <message>
        <source>Resource Saver</source>
        <translation>Ressourcensparmodus</translation>
    </message>
    <message>
        <source>Resource Saver is active: no readings until the engine is used.</source>
        <translation>Ressourcensparmodus: keine Messwerte, bis die Engine verwendet wird.</translation>
    </message>
    <message>
        <source>Resources</source>
        <translation>Ressourcen</translation>
    </message>
    <message>
        <source>Restart</source>
        <translation>Neu starten</translation>
    </message>
    <message>
        <source>Restart Galley&apos;s background process</source>
        <translation>Hintergrundprozess von Galley neu starten</translation>
    </message>
    <message>
        <source>Restart policy</source>
        <translation>Neustart-Richtlinie</translation>
    </message>
    <message>
        <source>Restart the background process</source>
        <translation>Hintergrundprozess neu starten</translation>
    </message>
    <message>
        <source>Restart the engine</source>
        <translation>Engine neu starten</translation>
    </message>
    <message>
        <source>Restart with the new image</source>
        <translation>Mit dem neuen Image neu starten</translation>
    </message>
    <message>
        <source>Restart with the new image?</source>
        <translation>Mit dem neuen Image neu starten?</translation>
    </message>
    <message>
        <source>Restart {name}</source>
        <translation>{name} neu starten</translation>
    </message>
    <message>
        <source>Restarting the engine…</source>
        <translation>Engine wird neu gestartet…</translation>
    </message>
    <message>
        <source>Restore</source>
        <translation>Wiederherstellen</translation>
    </message>
    <message>
        <source>Restore the snapshot {name}</source>
        <translation>Snapshot {name} wiederherstellen</translation>
    </message>
    <message>
        <source>Restore {name}?</source>
        <translation>{name} wiederherstellen?</translation>
    </message>
    <message>
        <source>Restore…</source>
        <translation>Wiederherstellen…</translation>
    </message>
    <message>
        <source>Resume</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>Resume {name}</source>
        <translation>{name} fortsetzen</translation>
    </message>
    <message>
        <source>Resuming the machine</source>
        <translation>Maschine wird fortgesetzt</translation>
    </message>
    <message>
        <source>Resuming: {step}</source>
        <translation>Wird fortgesetzt: {step}</translation>
    </message>
    <message>
        <source>Revert</source>
        <translation>Verwerfen</translation>
    </message>
    <message>
        <source>Revert daemon.json</source>
        <translation>Änderungen an daemon.json verwerfen</translation>
    </message>
    <message>
        <source>Root file system</source>
        <translation>Root-Dateisystem</translation>
    </message>
    <message>
        <source>Root in a container is an unprivileged user of the virtual machine. Images, containers and volumes of the other mode stay on its disk, hidden until you switch back.</source>
        <translation>root in einem Container ist ein Benutzer der virtuellen Maschine ohne besondere Rechte. Images, Container und Volumes des anderen Modus bleiben auf ihrem Datenträger, sind aber verborgen, bis Sie zurückwechseln.</translation>
    </message>
    <message>
        <source>Run</source>
        <translation>Ausführen</translation>
    </message>
    <message>
        <source>Run a command or open a page</source>
        <translation>Befehl ausführen oder Seite öffnen</translation>
    </message>
    <message>
        <source>Run a container</source>
        <translation>Container ausführen</translation>
    </message>
    <message>
        <source>Run a web server</source>
        <translation>Webserver ausführen</translation>
    </message>
    <message>
        <source>Run an image here, or type docker run in a terminal.</source>
        <translation>Hier ein Image ausführen oder docker run in einem Terminal eingeben.</translation>
    </message>
    <message>
        <source>Run an image…</source>
        <translation>Image ausführen…</translation>
    </message>
    <message>
        <source>Run it here</source>
        <translation>Hier ausführen</translation>
    </message>
    <message>
        <source>Run something else…</source>
        <translation>Anderes ausführen…</translation>
    </message>
    <message>
        <source>Run the checks</source>
        <translation>Prüfungen starten</translation>
    </message>
    <message>
        <source>Run the checks again</source>
        <translation>Prüfungen erneut starten</translation>
    </message>
    <message>
        <source>Run them again</source>
        <translation>Erneut prüfen</translation>
    </message>
    <message>
        <source>Run {image}</source>
        <translation>{image} ausführen</translation>
    </message>
    <message>
        <source>Run {image} as {name}</source>
        <translation>{image} als {name} ausführen</translation>
    </message>
    <message>
        <source>Running</source>
        <translation>Laufend</translation>
    </message>
    <message>
        <source>Running containers are stopped.</source>
        <translation>Laufende Container werden gestoppt.</translation>
    </message>
    <message>
        <source>Running, and killed first: {names}.</source>
        <translation>Laufen und werden vorher beendet: {names}.</translation>
    </message>
    <message>
        <source>Running, and stopped first: {names}.</source>
        <translation>Laufen und werden zuerst gestoppt: {names}.</translation>
    </message>
    <message>
        <source>Runtime</source>
        <translation>Laufzeit</translation>
    </message>
    <message>
        <source>Run…</source>
        <translation>Ausführen…</translation>
    </message>
    <message>
        <source>Same as the system</source>
        <translation>Wie im System</translation>
    </message>
    <message>
        <source>Save a report</source>
        <translation>Bericht speichern</translation>
    </message>
    <message>
        <source>Save a report…</source>
        <translation>Bericht speichern…</translation>
    </message>
    <message>
        <source>Save as a tar file</source>
        <translation>Als Tar-Datei speichern</translation>
    </message>
    <message>
        <source>Save as a tar file…</source>
        <translation>Als Tar-Datei speichern…</translation>
    </message>
    <message>
        <source>Save the log of {name}</source>
        <translation>Log von {name} speichern</translation>
    </message>
    <message>
        <source>Save the state of the engine, try something, and restore the state.</source>
        <translation>Den Stand der Engine sichern, etwas ausprobieren und den Stand wiederherstellen.</translation>
    </message>
    <message>
        <source>Save the whole log…</source>
        <translation>Ganzes Log speichern…</translation>
    </message>
    <message>
        <source>Save this log</source>
        <translation>Dieses Log speichern</translation>
    </message>
    <message>
        <source>Save this log…</source>
        <translation>Dieses Log speichern…</translation>
    </message>
    <message>
        <source>Save {name}</source>
        <translation>{name} speichern</translation>
    </message>
    <message>
        <source>Scope</source>
        <translation>Bereich</translation>
    </message>
    <message>
        <source>Search</source>
        <translation>Suchen</translation>
    </message>
    <message>
        <source>Search in the log</source>
        <translation>Im Log suchen</translation>
    </message>
    <message>
        <source>Search keys and values</source>
        <translation>Schlüssel und Werte suchen</translation>
    </message>
    <message>
        <source>Search the log</source>
        <translation>Im Log suchen</translation>
    </message>
    <message>
        <source>Search the settings</source>
        <translation>Einstellungen durchsuchen</translation>
    </message>
    <message>
        <source>Security: {what}</source>
        <translation>Sicherheit: {what}</translation>
    </message>
    <message>
        <source>Select all</source>
        <translation>Alles auswählen</translation>
    </message>
    <message>
        <source>Selected engine</source>
        <translation>Ausgewählte Engine</translation>
    </message>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Settings from Galley</source>
        <translation>Einstellungen von Galley</translation>
    </message>
    <message>
        <source>Shared folders</source>
        <translation>Freigegebene Ordner</translation>
    </message>
    <message>
        <source>Shared folders, read-only</source>
        <translation>Freigegebene Ordner, schreibgeschützt</translation>
    </message>
    <message>
        <source>Shift+Esc leaves the terminal</source>
        <translation>Umschalt+Esc verlässt das Terminal</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Anzeigen</translation>
    </message>
    <message>
        <source>Show all</source>
        <translation>Alle anzeigen</translation>
    </message>
    <message>
        <source>Show all changed files</source>
        <translation>Alle geänderten Dateien anzeigen</translation>
    </message>
    <message>
        <source>Show disk usage</source>
        <translation>Speicherbedarf anzeigen</translation>
    </message>
    <message>
        <source>Show fewer</source>
        <translation>Weniger anzeigen</translation>
    </message>
    <message>
        <source>Show in folder</source>
        <translation>Im Ordner anzeigen</translation>
    </message>
    <message>
        <source>Show security</source>
        <translation>Sicherheit anzeigen</translation>
    </message>
    <message>
        <source>Show settings from Galley</source>
        <translation>Einstellungen von Galley anzeigen</translation>
    </message>
    <message>
        <source>Show the containers</source>
        <translation>Container anzeigen</translation>
    </message>
    <message>
        <source>Show the log</source>
        <translation>Log zeigen</translation>
    </message>
    <message>
        <source>Since it was made from its image. Volumes are not part of it.</source>
        <translation>Seit der Erstellung aus dem Image. Volumes gehören nicht dazu.</translation>
    </message>
    <message>
        <source>Size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>Snapshots</source>
        <translation>Snapshots</translation>
    </message>
    <message>
        <source>Snapshots and settings are kept.</source>
        <translation>Snapshots und Einstellungen bleiben erhalten.</translation>
    </message>
    <message>
        <source>Socket</source>
        <translation>Socket</translation>
    </message>
    <message>
        <source>Something is mounted there already.</source>
        <translation>Dort ist bereits etwas eingehängt.</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Starten</translation>
    </message>
    <message>
        <source>Start Galley without a window when you log in to this computer.</source>
        <translation>Galley bei der Anmeldung an diesem Computer ohne Fenster starten.</translation>
    </message>
    <message>
        <source>Start at login</source>
        <translation>Bei der Anmeldung starten</translation>
    </message>
    <message>
        <source>Start it and try again.</source>
        <translation>Engine starten und erneut versuchen.</translation>
    </message>
    <message>
        <source>Start it to create the virtual machine; this takes a few seconds.</source>
        <translation>Der Start erstellt die virtuelle Maschine; das dauert einige Sekunden.</translation>
    </message>
    <message>
        <source>Start or stop</source>
        <translation>Starten oder stoppen</translation>
    </message>
    <message>
        <source>Start the background process</source>
        <translation>Hintergrundprozess starten</translation>
    </message>
    <message>
        <source>Start the engine</source>
        <translation>Engine starten</translation>
    </message>
    <message>
        <source>Start the engine as well when Galley starts at login.</source>
        <translation>Auch die Engine starten, wenn Galley bei der Anmeldung startet.</translation>
    </message>
    <message>
        <source>Start the engine at login</source>
        <translation>Engine bei der Anmeldung starten</translation>
    </message>
    <message>
        <source>Start {name}</source>
        <translation>{name} starten</translation>
    </message>
    <message>
        <source>Starting</source>
        <translation>Start läuft</translation>
    </message>
    <message>
        <source>Starting the engine…</source>
        <translation>Engine wird gestartet…</translation>
    </message>
    <message>
        <source>Starting: {step}</source>
        <translation>Start: {step}</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>Stats</source>
        <translation>Statistik</translation>
    </message>
    <message>
        <source>Steps of the start</source>
        <translation>Schritte des Starts</translation>
    </message>
    <message>
        <source>Stop</source>
        <translation>Stoppen</translation>
    </message>
    <message>
        <source>Stop engine and quit</source>
        <translation>Engine stoppen und beenden</translation>
    </message>
    <message>
        <source>Stop the engine</source>
        <translation>Engine stoppen</translation>
    </message>
    <message>
        <source>Stop {name}</source>
        <translation>{name} stoppen</translation>
    </message>
    <message>
        <source>Stopped</source>
        <translation>Gestoppt</translation>
    </message>
    <message>
        <source>Stopped, and cannot start again without it: {names}.</source>
        <translation>Gestoppt, ohne das Netzwerk nicht mehr startbar: {names}.</translation>
    </message>
    <message>
        <source>Stopping the engine suspends the virtual machine to disk, so that it starts faster.</source>
        <translation>Beim Stoppen der Engine die virtuelle Maschine in den Ruhezustand versetzen, damit sie schneller startet.</translation>
    </message>
    <message>
        <source>Stopping the engine…</source>
        <translation>Engine wird gestoppt…</translation>
    </message>
    <message>
        <source>Stored with docker&apos;s logins, never in a plain file.</source>
        <translation>Wird bei den Anmeldungen von docker gespeichert, nie in einer Klartextdatei.</translation>
    </message>
    <message>
        <source>Subnet</source>
        <translation>Subnetz</translation>
    </message>
    <message>
        <source>Suggestions</source>
        <translation>Vorschläge</translation>
    </message>
    <message>
        <source>Suspend on stop</source>
        <translation>Ruhezustand beim Stoppen</translation>
    </message>
    <message>
        <source>Suspend the paused virtual machine to disk after this time, which frees its memory.</source>
        <translation>Die pausierte virtuelle Maschine nach dieser Zeit in den Ruhezustand versetzen, was ihren Arbeitsspeicher freigibt.</translation>
    </message>
    <message>
        <source>Suspend to disk after</source>
        <translation>In den Ruhezustand nach</translation>
    </message>
    <message>
        <source>Suspending the machine</source>
        <translation>Maschine wird in den Ruhezustand versetzt</translation>
    </message>
    <message>
        <source>Switch back to that engine, and try again.</source>
        <translation>Zu dieser Engine zurückwechseln und es erneut versuchen.</translation>
    </message>
    <message>
        <source>System</source>
        <translation>System</translation>
    </message>
    <message>
        <source>Tag {image} as {name}</source>
        <translation>{image} als {name} benennen</translation>
    </message>
    <message>
        <source>Takes effect when the background process restarts.</source>
        <translation>Wird beim Neustart des Hintergrundprozesses wirksam.</translation>
    </message>
    <message>
        <source>Takes effect when the virtual machine restarts.</source>
        <translation>Wird beim Neustart der virtuellen Maschine wirksam.</translation>
    </message>
    <message>
        <source>Takes effect when the window is opened again.</source>
        <translation>Wird beim nächsten Öffnen des Fensters wirksam.</translation>
    </message>
    <message>
        <source>Tar file</source>
        <translation>Tar-Datei</translation>
    </message>
    <message>
        <source>Tar files ({patterns})</source>
        <translation>Tar-Dateien ({patterns})</translation>
    </message>
    <message>
        <source>Tasks</source>
        <translation>Aufgaben</translation>
    </message>
    <message>
        <source>Terminal</source>
        <translation>Terminal</translation>
    </message>
    <message>
        <source>The Docker Engine does not answer</source>
        <translation>Die Docker Engine antwortet nicht</translation>
    </message>
    <message>
        <source>The checks did not finish.</source>
        <translation>Die Prüfungen wurden nicht beendet.</translation>
    </message>
    <message>
        <source>The checks were cancelled.</source>
        <translation>Die Prüfungen wurden abgebrochen.</translation>
    </message>
    <message>
        <source>The command exists, but cannot be executed.</source>
        <translation>Der Befehl ist vorhanden, lässt sich aber nicht ausführen.</translation>
    </message>
    <message>
        <source>The comparison was cancelled.</source>
        <translation>Der Vergleich wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The container ended at once with exit code {code}.</source>
        <translation>Der Container endete sofort mit Exit-Code {code}.</translation>
    </message>
    <message>
        <source>The container exceeded its memory limit. Raise the limit, or reduce its memory usage.</source>
        <translation>Der Container hat seine Speichergrenze überschritten. Die Grenze erhöhen oder den Speicherbedarf verringern.</translation>
    </message>
    <message>
        <source>The container has exited. Its log continues when it starts again.</source>
        <translation>Der Container ist beendet. Sein Log wird beim nächsten Start fortgesetzt.</translation>
    </message>
    <message>
        <source>The container is not running</source>
        <translation>Der Container läuft nicht</translation>
    </message>
    <message>
        <source>The container is paused</source>
        <translation>Der Container ist pausiert</translation>
    </message>
    <message>
        <source>The container runs with the changes.</source>
        <translation>Der Container läuft mit den Änderungen.</translation>
    </message>
    <message>
        <source>The engine and other snapshots do not change.</source>
        <translation>Die Engine und andere Snapshots ändern sich nicht.</translation>
    </message>
    <message>
        <source>The engine answers on the docker socket</source>
        <translation>Die Engine antwortet am Docker-Socket</translation>
    </message>
    <message>
        <source>The engine closed the connection.</source>
        <translation>Die Engine hat die Verbindung geschlossen.</translation>
    </message>
    <message>
        <source>The engine could not calculate it.</source>
        <translation>Die Engine konnte es nicht berechnen.</translation>
    </message>
    <message>
        <source>The engine did not start.</source>
        <translation>Die Engine ist nicht gestartet.</translation>
    </message>
    <message>
        <source>The engine is already running.</source>
        <translation>Die Engine läuft bereits.</translation>
    </message>
    <message>
        <source>The engine is idle, and its virtual machine is paused. It resumes on first use.</source>
        <translation>Die Engine ist im Leerlauf, ihre virtuelle Maschine pausiert. Bei der ersten Verwendung wird sie fortgesetzt.</translation>
    </message>
    <message>
        <source>The engine is idle, and its virtual machine is suspended to disk. It resumes on first use.</source>
        <translation>Die Engine ist im Leerlauf, ihre virtuelle Maschine im Ruhezustand. Bei der ersten Verwendung wird sie fortgesetzt.</translation>
    </message>
    <message>
        <source>The engine is not running.</source>
        <translation>Die Engine läuft nicht.</translation>
    </message>
    <message>
        <source>The engine is not running: dockerd gets these settings when it starts.</source>
        <translation>Die Engine läuft nicht: dockerd erhält diese Einstellungen beim Start.</translation>
    </message>
    <message>
        <source>The engine is ready after {time}</source>
        <translation>Die Engine ist nach {time} bereit</translation>
    </message>
    <message>
        <source>The engine is stopped. All images, containers and volumes in its virtual machine, its snapshots, your settings, daemon.json and the state of the window are permanently deleted.</source>
        <translation>Die Engine wird gestoppt. Alle Images, Container und Volumes in ihrer virtuellen Maschine, deren Snapshots, die Einstellungen, daemon.json und der Zustand des Fensters werden endgültig gelöscht.</translation>
    </message>
    <message>
        <source>The engine uses {size}.</source>
        <translation>Die Engine belegt {size}.</translation>
    </message>
    <message>
        <source>The engine was restored to {time}</source>
        <translation>Die Engine hat wieder den Stand vom {time}</translation>
    </message>
    <message>
        <source>The file</source>
        <translation>Die Datei</translation>
    </message>
    <message>
        <source>The files become an image with one layer. Enter its name.</source>
        <translation>Die Dateien werden zu einem Image mit einem Layer. Den Namen des Images angeben.</translation>
    </message>
    <message>
        <source>The files in them are permanently deleted. Volumes used by any container, running or stopped, are kept.</source>
        <translation>Die Dateien darin werden endgültig gelöscht. Volumes von Containern, laufend oder gestoppt, bleiben erhalten.</translation>
    </message>
    <message>
        <source>The first address of this range is {right}.</source>
        <translation>Die erste Adresse dieses Bereichs ist {right}.</translation>
    </message>
    <message>
        <source>The first and the last address cannot be used.</source>
        <translation>Die erste und die letzte Adresse sind nicht verfügbar.</translation>
    </message>
    <message>
        <source>The first start tests which hardware acceleration this computer has.</source>
        <translation>Der erste Start prüft, welche Hardwarebeschleunigung dieser Computer bietet.</translation>
    </message>
    <message>
        <source>The guest image has Debian&apos;s fixes</source>
        <translation>Das Gast-Image enthält die Korrekturen von Debian</translation>
    </message>
    <message>
        <source>The guest image is intact</source>
        <translation>Das Gast-Image ist unbeschädigt</translation>
    </message>
    <message>
        <source>The image</source>
        <translation>Das Image</translation>
    </message>
    <message>
        <source>The image has no such command.</source>
        <translation>Das Image hat keinen solchen Befehl.</translation>
    </message>
    <message>
        <source>The image is kept as {name}.</source>
        <translation>Das Image bleibt als {name} erhalten.</translation>
    </message>
    <message>
        <source>The image keeps its tags.</source>
        <translation>Das Image behält seine Tags.</translation>
    </message>
    <message>
        <source>The image sets this variable.</source>
        <translation>Das Image setzt diese Variable.</translation>
    </message>
    <message>
        <source>The keyring has these logins now</source>
        <translation>Der Schlüsselbund hat jetzt diese Anmeldungen</translation>
    </message>
    <message>
        <source>The log cannot be read</source>
        <translation>Das Log lässt sich nicht lesen</translation>
    </message>
    <message>
        <source>The log cannot be written to {path}.</source>
        <translation>Das Log lässt sich nicht nach {path} schreiben.</translation>
    </message>
    <message>
        <source>The log usually shows why.</source>
        <translation>Das Log zeigt meist die Ursache.</translation>
    </message>
    <message>
        <source>The machine has ended. Press F5 to read it again.</source>
        <translation>Die Maschine ist beendet. Mit F5 neu laden.</translation>
    </message>
    <message>
        <source>The machine is suspended: the snapshot includes its memory.</source>
        <translation>Die Maschine ist im Ruhezustand: Der Snapshot enthält ihren Arbeitsspeicher.</translation>
    </message>
    <message>
        <source>The machine runs at full speed</source>
        <translation>Die Maschine läuft mit voller Geschwindigkeit</translation>
    </message>
    <message>
        <source>The machine starts from a boot checkpoint</source>
        <translation>Die Maschine startet von einem Boot-Checkpoint</translation>
    </message>
    <message>
        <source>The machine&apos;s clock is right</source>
        <translation>Die Uhr der Maschine geht richtig</translation>
    </message>
    <message>
        <source>The name determines the registry: example.com/team/app:1 is pushed to example.com. A new name is added to the image first.</source>
        <translation>Der Name bestimmt die Registry: example.com/team/app:1 wird zu example.com gepusht. Ein neuer Name wird dem Image vorher hinzugefügt.</translation>
    </message>
    <message>
        <source>The name of an image is in lower case.</source>
        <translation>Der Name eines Images wird kleingeschrieben.</translation>
    </message>
    <message>
        <source>The next cold start uses the packages of {date}.</source>
        <translation>Der nächste Kaltstart verwendet die Pakete vom {date}.</translation>
    </message>
    <message>
        <source>The path in the container begins with /.</source>
        <translation>Der Pfad im Container beginnt mit /.</translation>
    </message>
    <message>
        <source>The prefix length is missing. Example: {example}</source>
        <translation>Die Präfixlänge fehlt. Beispiel: {example}</translation>
    </message>
    <message>
        <source>The program that runs the machine</source>
        <translation>Programm, das die Maschine ausführt</translation>
    </message>
    <message>
        <source>The program that runs the machine is usable</source>
        <translation>Das Programm, das die Maschine ausführt, ist brauchbar</translation>
    </message>
    <message>
        <source>The proxy answers</source>
        <translation>Der Proxy antwortet</translation>
    </message>
    <message>
        <source>The report cannot be written to {path}.</source>
        <translation>Der Bericht lässt sich nicht nach {path} schreiben.</translation>
    </message>
    <message>
        <source>The report is saved</source>
        <translation>Der Bericht ist gespeichert</translation>
    </message>
    <message>
        <source>The session ended with it; its output is above.</source>
        <translation>Die Sitzung endete mit ihm. Die Ausgabe steht darüber.</translation>
    </message>
    <message>
        <source>The session has ended</source>
        <translation>Die Sitzung ist beendet</translation>
    </message>
    <message>
        <source>The session has ended (exit {code})</source>
        <translation>Die Sitzung ist beendet (Exit-Code {code})</translation>
    </message>
    <message>
        <source>The settings file is in order</source>
        <translation>Die Einstellungsdatei ist in Ordnung</translation>
    </message>
    <message>
        <source>The snapshot {name} was created</source>
        <translation>Der Snapshot {name} wurde erstellt</translation>
    </message>
    <message>
        <source>The start did not finish</source>
        <translation>Der Start wurde nicht abgeschlossen</translation>
    </message>
    <message>
        <source>The task continues; see the list of tasks.</source>
        <translation>Die Aufgabe läuft weiter; siehe Aufgabenliste.</translation>
    </message>
    <message>
        <source>Their settings are lost.</source>
        <translation>Ihre Einstellungen gehen verloren.</translation>
    </message>
    <message>
        <source>There are none.</source>
        <translation>Es gibt keine.</translation>
    </message>
    <message>
        <source>There is a container with this name already.</source>
        <translation>Ein Container mit diesem Namen existiert bereits.</translation>
    </message>
    <message>
        <source>There is a network of this name already.</source>
        <translation>Ein Netzwerk mit diesem Namen gibt es bereits.</translation>
    </message>
    <message>
        <source>There is a volume of this name already.</source>
        <translation>Ein Volume mit diesem Namen gibt es bereits.</translation>
    </message>
    <message>
        <source>There is enough memory for the machine</source>
        <translation>Für die Maschine ist genug Speicher da</translation>
    </message>
    <message>
        <source>There is free space on the disk</source>
        <translation>Auf dem Datenträger ist Platz</translation>
    </message>
    <message>
        <source>There is no data to save yet.</source>
        <translation>Es gibt noch keine Daten zu sichern.</translation>
    </message>
    <message>
        <source>There is no file of this name.</source>
        <translation>Eine Datei mit diesem Namen gibt es nicht.</translation>
    </message>
    <message>
        <source>There is no unused network to delete.</source>
        <translation>Es gibt kein unbenutztes Netzwerk zu löschen.</translation>
    </message>
    <message>
        <source>There is no unused volume to delete.</source>
        <translation>Es gibt kein unbenutztes Volume zu löschen.</translation>
    </message>
    <message>
        <source>There is none to choose.</source>
        <translation>Es gibt keinen zur Auswahl.</translation>
    </message>
    <message>
        <source>There is nothing to clean up.</source>
        <translation>Es gibt nichts aufzuräumen.</translation>
    </message>
    <message>
        <source>There is nothing to delete.</source>
        <translation>Es gibt nichts zu löschen.</translation>
    </message>
    <message>
        <source>This Galley starts at login</source>
        <translation>Dieses Galley startet bei der Anmeldung</translation>
    </message>
    <message>
        <source>This computer&apos;s services</source>
        <translation>Dienste dieses Computers</translation>
    </message>
    <message>
        <source>This container has no shell.</source>
        <translation>Dieser Container hat keine Shell.</translation>
    </message>
    <message>
        <source>This container is deleted as soon as it stops. Run its image again instead.</source>
        <translation>Dieser Container wird gelöscht, sobald er stoppt. Stattdessen das Image neu ausführen.</translation>
    </message>
    <message>
        <source>This container is gone</source>
        <translation>Diesen Container gibt es nicht mehr</translation>
    </message>
    <message>
        <source>This container is not running: no readings.</source>
        <translation>Dieser Container läuft nicht: keine Messwerte.</translation>
    </message>
    <message>
        <source>This folder has no files.</source>
        <translation>Dieser Ordner enthält keine Dateien.</translation>
    </message>
    <message>
        <source>This image does not exist any more.</source>
        <translation>Dieses Image gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This is not a name. Examples: nginx, nginx:1.27, example.com/team/app:1</source>
        <translation>Das ist kein Name. Beispiele: nginx, nginx:1.27, example.com/team/app:1</translation>
    </message>
    <message>
        <source>This is not a text file ({size}).</source>
        <translation>Das ist keine Textdatei ({size}).</translation>
    </message>
    <message>
        <source>This is not in {ranges}.</source>
        <translation>Das liegt nicht in {ranges}.</translation>
    </message>
    <message>
        <source>This log is empty.</source>
        <translation>Dieses Log ist leer.</translation>
    </message>
    <message>
        <source>This network does not exist any more.</source>
        <translation>Dieses Netzwerk gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This volume does not exist any more.</source>
        <translation>Dieses Volume gibt es nicht mehr.</translation>
    </message>
    <message>
        <source>This was cancelled.</source>
        <translation>Das wurde abgebrochen.</translation>
    </message>
    <message>
        <source>Times</source>
        <translation>Zeiten</translation>
    </message>
    <message>
        <source>Tree</source>
        <translation>Baum</translation>
    </message>
    <message>
        <source>Try again</source>
        <translation>Erneut versuchen</translation>
    </message>
    <message>
        <source>Two or more letters, digits and . _ -, and a letter or digit first.</source>
        <translation>Mindestens zwei Zeichen: Buchstaben, Ziffern und . _ -, am Anfang ein Buchstabe oder eine Ziffer.</translation>
    </message>
    <message>
        <source>Type {word} to continue:</source>
        <translation>Zum Fortfahren {word} eingeben:</translation>
    </message>
    <message>
        <source>Update the guest image</source>
        <translation>Gast-Image aktualisieren</translation>
    </message>
    <message numerus="yes">
        <source>Upload %n items to {folder}</source>
        <comment>Upload {name} to {folder}</comment>
        <translation>
            <numerusform>{name} nach {folder} hochladen</numerusform>
            <numerusform>%n Einträge nach {folder} hochladen</numerusform>
        </translation>
    </message>
    <message>
        <source>Upload files</source>
        <translation>Dateien hochladen</translation>
    </message>
    <message>
        <source>Upload to {folder}</source>
        <translation>Nach {folder} hochladen</translation>
    </message>
    <message>
        <source>Upload…</source>
        <translation>Hochladen…</translation>
    </message>
    <message>
        <source>Usage of running containers, relative to the engine&apos;s limits.</source>
        <translation>Verbrauch laufender Container im Verhältnis zu den Grenzen der Engine.</translation>
    </message>
    <message>
        <source>Use Galley&apos;s docker context</source>
        <translation>Docker-Kontext von Galley verwenden</translation>
    </message>
    <message>
        <source>Use letters, digits, - _ and . and begin with a letter or digit; two at least.</source>
        <translation>Buchstaben, Ziffern, - _ und . sind erlaubt, am Anfang ein Buchstabe oder eine Ziffer; mindestens zwei Zeichen.</translation>
    </message>
    <message>
        <source>Used by</source>
        <translation>Verwendet von</translation>
    </message>
    <message>
        <source>Used if the proxy is set to manual. A password is stored in the keyring.</source>
        <translation>Gilt, wenn der Proxy auf manual steht. Ein Passwort wird im Schlüsselbund gespeichert.</translation>
    </message>
    <message>
        <source>User</source>
        <translation>Benutzer</translation>
    </message>
    <message>
        <source>User name</source>
        <translation>Benutzername</translation>
    </message>
    <message>
        <source>Valid JSON, not yet validated by dockerd.</source>
        <translation>Gültiges JSON, von dockerd noch nicht geprüft.</translation>
    </message>
    <message>
        <source>Value</source>
        <translation>Wert</translation>
    </message>
    <message>
        <source>Value of the variable</source>
        <translation>Wert der Variable</translation>
    </message>
    <message>
        <source>Versions</source>
        <translation>Versionen</translation>
    </message>
    <message>
        <source>Virtual machine</source>
        <translation>Virtuelle Maschine</translation>
    </message>
    <message>
        <source>Volume</source>
        <translation>Volume</translation>
    </message>
    <message>
        <source>Volume or folder of the host</source>
        <translation>Volume oder Ordner des Hosts</translation>
    </message>
    <message>
        <source>Volumes</source>
        <translation>Volumes</translation>
    </message>
    <message>
        <source>Volumes and folders</source>
        <translation>Volumes und Ordner</translation>
    </message>
    <message>
        <source>Warn after days</source>
        <translation>Warnen nach Tagen</translation>
    </message>
    <message>
        <source>Warn if the packages in the guest image are older than this many days; 0 for never.</source>
        <translation>Warnen, wenn die Pakete im Gast-Image älter als so viele Tage sind; 0 für nie.</translation>
    </message>
    <message>
        <source>Welcome</source>
        <translation>Willkommen</translation>
    </message>
    <message>
        <source>Welcome to Galley</source>
        <translation>Willkommen bei Galley</translation>
    </message>
    <message>
        <source>What the container has under this name in {folder} is overwritten.</source>
        <translation>Was der Container unter diesem Namen in {folder} hat, wird überschrieben.</translation>
    </message>
    <message>
        <source>What would be deleted</source>
        <translation>Was gelöscht würde</translation>
    </message>
    <message>
        <source>What would change</source>
        <translation>Was sich ändern würde</translation>
    </message>
    <message>
        <source>Which containers</source>
        <translation>Welche Container</translation>
    </message>
    <message>
        <source>Which image?</source>
        <translation>Welches Image?</translation>
    </message>
    <message>
        <source>Which log</source>
        <translation>Welches Log</translation>
    </message>
    <message>
        <source>Window</source>
        <translation>Fenster</translation>
    </message>
    <message>
        <source>Without its memory: running containers are not resumed</source>
        <translation>Ohne Arbeitsspeicher: laufende Container werden nicht fortgesetzt</translation>
    </message>
    <message>
        <source>Wrap</source>
        <translation>Umbruch</translation>
    </message>
    <message>
        <source>Wrap long lines</source>
        <translation>Lange Zeilen umbrechen</translation>
    </message>
    <message>
        <source>Write a number of cores, like 0.5 or 2.</source>
        <translation>Eine Anzahl von Kernen angeben, etwa 0.5 oder 2.</translation>
    </message>
    <message>
        <source>Write it like 512 MiB or 2 GiB.</source>
        <translation>Schreibweise: 512 MiB oder 2 GiB.</translation>
    </message>
    <message>
        <source>You switched to another engine.</source>
        <translation>Die Engine wurde gewechselt.</translation>
    </message>
    <message>
        <source>Your first container</source>
        <translation>Der erste Container</translation>
    </message>
    <message>
        <source>`docker` on this computer uses Galley</source>
        <translation>`docker` auf diesem Computer verwendet Galley</translation>
    </message>
    <message>
        <source>a new volume without a name</source>
        <translation>neues Volume ohne Namen</translation>
    </message>
    <message>
        <source>a profile of its own</source>
        <translation>eigenes Profil</translation>
    </message>
    <message>
        <source>active</source>
        <translation>aktiv</translation>
    </message>
    <message>
        <source>added</source>
        <translation>neu</translation>
    </message>
    <message>
        <source>all</source>
        <translation>alle</translation>
    </message>
    <message>
        <source>all addresses</source>
        <translation>alle Adressen</translation>
    </message>
    <message>
        <source>all capabilities</source>
        <translation>alle Capabilities</translation>
    </message>
    <message numerus="yes">
        <source>and %n more</source>
        <comment>and %n more</comment>
        <translation>
            <numerusform>und %n weitere</numerusform>
            <numerusform>und %n weitere</numerusform>
        </translation>
    </message>
    <message>
        <source>any free port</source>
        <translation>freier Port</translation>
    </message>
    <message>
        <source>as configured</source>
        <translation>wie konfiguriert</translation>
    </message>
    <message>
        <source>being deleted</source>
        <translation>wird gelöscht</translation>
    </message>
    <message>
        <source>bridge connects containers on this engine; the others connect them to the engine&apos;s network.</source>
        <translation>bridge verbindet Container dieser Engine; die anderen verbinden sie mit dem Netzwerk der Engine.</translation>
    </message>
    <message>
        <source>built in</source>
        <translation>eingebaut</translation>
    </message>
    <message>
        <source>calculating…</source>
        <translation>wird berechnet…</translation>
    </message>
    <message>
        <source>cannot be gained</source>
        <translation>nicht erlangbar</translation>
    </message>
    <message>
        <source>cgroup {path}</source>
        <translation>cgroup {path}</translation>
    </message>
    <message>
        <source>changed</source>
        <translation>geändert</translation>
    </message>
    <message>
        <source>changes unknown</source>
        <translation>Änderungen unbekannt</translation>
    </message>
    <message>
        <source>checking</source>
        <translation>prüft</translation>
    </message>
    <message>
        <source>connecting</source>
        <translation>verbindet</translation>
    </message>
    <message>
        <source>container</source>
        <translation>Container</translation>
    </message>
    <message>
        <source>container port → host address and port</source>
        <translation>Port im Container → Adresse und Port auf dem Host</translation>
    </message>
    <message>
        <source>created</source>
        <translation>erstellt</translation>
    </message>
    <message>
        <source>created at start</source>
        <translation>entstehen beim Start</translation>
    </message>
    <message>
        <source>daemon.json</source>
        <translation>daemon.json</translation>
    </message>
    <message>
        <source>daemon.json is active</source>
        <translation>daemon.json ist aktiv</translation>
    </message>
    <message>
        <source>daemon.json was applied</source>
        <translation>daemon.json wurde angewendet</translation>
    </message>
    <message>
        <source>default</source>
        <translation>Standard</translation>
    </message>
    <message>
        <source>default of the image, or root</source>
        <translation>Vorgabe des Images, sonst root</translation>
    </message>
    <message>
        <source>degraded</source>
        <translation>gestört</translation>
    </message>
    <message>
        <source>deleted</source>
        <translation>gelöscht</translation>
    </message>
    <message>
        <source>deleting…</source>
        <translation>löscht…</translation>
    </message>
    <message>
        <source>docker stores registry logins in the keyring instead of a plain file.</source>
        <translation>docker speichert Anmeldungen an Registrys im Schlüsselbund statt in einer Klartextdatei.</translation>
    </message>
    <message>
        <source>dockerd restarts, which takes a few seconds. Containers keep running, except in a swarm.</source>
        <translation>dockerd startet neu, das dauert einige Sekunden. Container laufen weiter, außer in einem Schwarm.</translation>
    </message>
    <message>
        <source>dockerd restarts. Containers are stopped, because live-restore is off; those with a restart policy start again.</source>
        <translation>dockerd startet neu. Container werden gestoppt, weil live-restore aus ist; solche mit Neustart-Richtlinie starten wieder.</translation>
    </message>
    <message>
        <source>dockerd validates it and restarts…</source>
        <translation>dockerd prüft es und startet neu…</translation>
    </message>
    <message>
        <source>done</source>
        <translation>fertig</translation>
    </message>
    <message>
        <source>downloaded</source>
        <translation>geladen</translation>
    </message>
    <message>
        <source>downloading</source>
        <translation>lädt</translation>
    </message>
    <message>
        <source>edited</source>
        <translation>bearbeitet</translation>
    </message>
    <message>
        <source>emulation</source>
        <translation>Emulation</translation>
    </message>
    <message>
        <source>exited</source>
        <translation>beendet</translation>
    </message>
    <message>
        <source>exited (0)</source>
        <translation>beendet (0)</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>Fehler</translation>
    </message>
    <message>
        <source>failed ({code})</source>
        <translation>Fehler ({code})</translation>
    </message>
    <message>
        <source>fine</source>
        <translation>in Ordnung</translation>
    </message>
    <message>
        <source>generated by Docker</source>
        <translation>wird von Docker erzeugt</translation>
    </message>
    <message>
        <source>gone</source>
        <translation>nicht mehr da</translation>
    </message>
    <message>
        <source>healthy</source>
        <translation>gesund</translation>
    </message>
    <message>
        <source>host</source>
        <translation>Host</translation>
    </message>
    <message>
        <source>idle</source>
        <translation>Leerlauf</translation>
    </message>
    <message>
        <source>image</source>
        <translation>Image</translation>
    </message>
    <message>
        <source>images</source>
        <translation>images</translation>
    </message>
    <message>
        <source>in a plain file</source>
        <translation>in einer Klartextdatei</translation>
    </message>
    <message>
        <source>in progress</source>
        <translation>läuft</translation>
    </message>
    <message>
        <source>internal</source>
        <translation>intern</translation>
    </message>
    <message>
        <source>killing…</source>
        <translation>bricht ab…</translation>
    </message>
    <message>
        <source>layer {n}</source>
        <translation>Layer {n}</translation>
    </message>
    <message>
        <source>link</source>
        <translation>Link</translation>
    </message>
    <message>
        <source>local, or a plugin of the engine</source>
        <translation>local oder ein Plugin der Engine</translation>
    </message>
    <message>
        <source>memory (tmpfs)</source>
        <translation>Speicher (tmpfs)</translation>
    </message>
    <message>
        <source>minisign public key that signs a feed of your own. If it is empty, Galley&apos;s own keys are used.</source>
        <translation>Öffentlicher minisign-Schlüssel, mit dem ein eigener Feed signiert ist. Ohne Angabe gelten Galleys eigene Schlüssel.</translation>
    </message>
    <message>
        <source>name:tag</source>
        <translation>name:tag</translation>
    </message>
    <message>
        <source>needs attention</source>
        <translation>Handlungsbedarf</translation>
    </message>
    <message>
        <source>network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>no</source>
        <translation>nein</translation>
    </message>
    <message>
        <source>no address</source>
        <translation>keine Adresse</translation>
    </message>
    <message>
        <source>no containers</source>
        <translation>keine Container</translation>
    </message>
    <message>
        <source>no limit</source>
        <translation>kein Limit</translation>
    </message>
    <message>
        <source>no match</source>
        <translation>kein Treffer</translation>
    </message>
    <message>
        <source>no network</source>
        <translation>kein Netzwerk</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>not available</source>
        <translation>nicht verfügbar</translation>
    </message>
    <message>
        <source>not created</source>
        <translation>noch nicht erstellt</translation>
    </message>
    <message>
        <source>not privileged</source>
        <translation>nicht privilegiert</translation>
    </message>
    <message>
        <source>not running</source>
        <translation>läuft nicht</translation>
    </message>
    <message>
        <source>nothing</source>
        <translation>nichts</translation>
    </message>
    <message>
        <source>nothing found</source>
        <translation>nichts gefunden</translation>
    </message>
    <message>
        <source>now</source>
        <translation>jetzt</translation>
    </message>
    <message>
        <source>of one core</source>
        <translation>von einem Kern</translation>
    </message>
    <message>
        <source>of {limit}</source>
        <translation>von {limit}</translation>
    </message>
    <message>
        <source>of {n} cores</source>
        <translation>von {n} Kernen</translation>
    </message>
    <message>
        <source>of {share} of one core</source>
        <translation>von {share} eines Kerns</translation>
    </message>
    <message>
        <source>off</source>
        <translation>aus</translation>
    </message>
    <message>
        <source>own</source>
        <translation>eigen</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>pausiert</translation>
    </message>
    <message>
        <source>pausing…</source>
        <translation>wird pausiert…</translation>
    </message>
    <message>
        <source>privileged</source>
        <translation>privilegiert</translation>
    </message>
    <message>
        <source>read</source>
        <translation>gelesen</translation>
    </message>
    <message>
        <source>read-only</source>
        <translation>nur lesen</translation>
    </message>
    <message>
        <source>read-write</source>
        <translation>lesen/schreiben</translation>
    </message>
    <message>
        <source>reading…</source>
        <translation>wird gelesen…</translation>
    </message>
    <message>
        <source>received</source>
        <translation>empfangen</translation>
    </message>
    <message>
        <source>renaming…</source>
        <translation>benennt um…</translation>
    </message>
    <message>
        <source>repairing…</source>
        <translation>wird repariert…</translation>
    </message>
    <message>
        <source>restarting</source>
        <translation>startet neu</translation>
    </message>
    <message>
        <source>restarting…</source>
        <translation>startet neu…</translation>
    </message>
    <message>
        <source>resuming</source>
        <translation>wird fortgesetzt</translation>
    </message>
    <message>
        <source>resuming…</source>
        <translation>setzt fort…</translation>
    </message>
    <message>
        <source>retrying</source>
        <translation>wird wiederholt</translation>
    </message>
    <message>
        <source>running</source>
        <translation>läuft</translation>
    </message>
    <message>
        <source>seccomp</source>
        <translation>seccomp</translation>
    </message>
    <message>
        <source>seccomp {profile}</source>
        <translation>seccomp {profile}</translation>
    </message>
    <message>
        <source>sent</source>
        <translation>gesendet</translation>
    </message>
    <message>
        <source>setting</source>
        <translation>Einstellung</translation>
    </message>
    <message>
        <source>seven namespaces</source>
        <translation>sieben Namespaces</translation>
    </message>
    <message>
        <source>shared</source>
        <translation>geteilt</translation>
    </message>
    <message>
        <source>skipped</source>
        <translation>übersprungen</translation>
    </message>
    <message>
        <source>stack</source>
        <translation>Stapel</translation>
    </message>
    <message>
        <source>starting</source>
        <translation>startet</translation>
    </message>
    <message>
        <source>starting…</source>
        <translation>startet…</translation>
    </message>
    <message>
        <source>stopped</source>
        <translation>gestoppt</translation>
    </message>
    <message>
        <source>stopping</source>
        <translation>stoppt</translation>
    </message>
    <message>
        <source>stopping…</source>
        <translation>stoppt…</translation>
    </message>
    <message>
        <source>the gateway</source>
        <translation>das Gateway</translation>
    </message>
    <message>
        <source>the image no longer exists; its layers are unknown</source>
        <translation>das Image existiert nicht mehr; seine Layer sind unbekannt</translation>
    </message>
    <message>
        <source>unhealthy</source>
        <translation>gestört</translation>
    </message>
    <message>
        <source>unknown</source>
        <translation>unbekannt</translation>
    </message>
    <message>
        <source>unpacking</source>
        <translation>entpackt</translation>
    </message>
    <message>
        <source>unreachable</source>
        <translation>nicht erreichbar</translation>
    </message>
    <message>
        <source>unused</source>
        <translation>unbenutzt</translation>
    </message>
    <message>
        <source>up to {size}</source>
        <translation>bis zu {size}</translation>
    </message>
    <message>
        <source>uploading</source>
        <translation>sendet</translation>
    </message>
    <message numerus="yes">
        <source>used by %n containers</source>
        <comment>used by %n container</comment>
        <translation>
            <numerusform>von %n Container verwendet</numerusform>
            <numerusform>von %n Containern verwendet</numerusform>
        </translation>
    </message>
    <message>
        <source>value</source>
        <translation>Wert</translation>
    </message>
    <message>
        <source>virtiofs is faster and needs virtiofsd; sftp works everywhere.</source>
        <translation>virtiofs ist schneller und braucht virtiofsd; sftp funktioniert überall.</translation>
    </message>
    <message>
        <source>volume</source>
        <translation>Volume</translation>
    </message>
    <message>
        <source>volume or /folder</source>
        <translation>Volume oder /Ordner</translation>
    </message>
    <message>
        <source>volume or host path → container path</source>
        <translation>Volume oder Pfad auf dem Host → Pfad im Container</translation>
    </message>
    <message>
        <source>waiting</source>
        <translation>wartet</translation>
    </message>
    <message>
        <source>with memory</source>
        <translation>mit Arbeitsspeicher</translation>
    </message>
    <message>
        <source>with {names}</source>
        <translation>mit {names}</translation>
    </message>
    <message>
        <source>writable</source>
        <translation>beschreibbar</translation>
    </message>
    <message>
        <source>written</source>
        <translation>geschrieben</translation>
    </message>
    <message>
        <source>yes</source>
        <translation>ja</translation>
    </message>
    <message>
        <source>yes: it cannot be deleted</source>
        <translation>ja: lässt sich nicht löschen</translation>
    </message>
    <message>
        <source>yes: no access to external networks</source>
        <translation>ja: kein Zugriff auf externe Netzwerke</translation>
    </message>
    <message>
        <source>{action}: {name}</source>
        <translation>{action}: {name}</translation>
    </message>
    <message>
        <source>{age} ago</source>
        <translation>vor {age}</translation>
    </message>
    <message>
        <source>{backend} with {accelerator}</source>
        <translation>{backend} mit {accelerator}</translation>
    </message>
    <message>
        <source>{command} (user {user})</source>
        <translation>{command} (Benutzer {user})</translation>
    </message>
    <message>
        <source>{container} is not on {network} now</source>
        <translation>{container} ist nicht mehr mit {network} verbunden</translation>
    </message>
    <message>
        <source>{count} · {size}</source>
        <translation>{count} · {size}</translation>
    </message>
    <message>
        <source>{count} · {size} · {unused} unused</source>
        <translation>{count} · {size} · {unused} unbenutzt</translation>
    </message>
    <message>
        <source>{count}, {names} names</source>
        <translation>{count}, {names} Namen</translation>
    </message>
    <message>
        <source>{count}, {size}</source>
        <translation>{count}, {size}</translation>
    </message>
    <message>
        <source>{count}, {size}, the newest on top</source>
        <translation>{count}, {size}, der neueste oben</translation>
    </message>
    <message>
        <source>{done} of {total}</source>
        <translation>{done} von {total}</translation>
    </message>
    <message numerus="yes">
        <source>{driver} of %n layers</source>
        <comment>{driver} of %n layer</comment>
        <translation>
            <numerusform>{driver} aus %n Layer</numerusform>
            <numerusform>{driver} aus %n Layern</numerusform>
        </translation>
    </message>
    <message>
        <source>{file} was imported</source>
        <translation>{file} wurde importiert</translation>
    </message>
    <message>
        <source>{holder} has this address.</source>
        <translation>Diese Adresse hat bereits {holder}.</translation>
    </message>
    <message>
        <source>{image} was created</source>
        <translation>{image} wurde erstellt</translation>
    </message>
    <message>
        <source>{image} was pulled</source>
        <translation>{image} wurde gepullt</translation>
    </message>
    <message>
        <source>{image} was pushed</source>
        <translation>{image} wurde gepusht</translation>
    </message>
    <message>
        <source>{instruction}, {size}</source>
        <translation>{instruction}, {size}</translation>
    </message>
    <message>
        <source>{minutes} min {seconds} s ago</source>
        <translation>vor {minutes} Min. {seconds} s</translation>
    </message>
    <message>
        <source>{names} and {n} more</source>
        <translation>{names} und {n} mehr</translation>
    </message>
    <message>
        <source>{names} may be using them now.</source>
        <translation>Möglicherweise werden sie gerade verwendet: {names}.</translation>
    </message>
    <message>
        <source>{name} does not answer</source>
        <translation>{name} antwortet nicht</translation>
    </message>
    <message>
        <source>{name} ended at once with exit code {code}.</source>
        <translation>{name} endete sofort mit Exit-Code {code}.</translation>
    </message>
    <message numerus="yes">
        <source>{name} has %n files. Known secrets are removed; check it before you share it.</source>
        <comment>{name} has %n file. Known secrets are removed; check it before you share it.</comment>
        <translation>
            <numerusform>{name} enthält %n Datei. Bekannte Geheimnisse sind entfernt; vor dem Weitergeben bitte prüfen.</numerusform>
            <numerusform>{name} enthält %n Dateien. Bekannte Geheimnisse sind entfernt; vor dem Weitergeben bitte prüfen.</numerusform>
        </translation>
    </message>
    <message>
        <source>{name} has {taken} already.</source>
        <translation>{name} belegt bereits {taken}.</translation>
    </message>
    <message>
        <source>{name} is built into the Docker Engine.</source>
        <translation>{name} gehört fest zur Docker Engine.</translation>
    </message>
    <message>
        <source>{name} is running</source>
        <translation>{name} läuft</translation>
    </message>
    <message>
        <source>{name} is used by {users}.</source>
        <translation>{name} wird von {users} verwendet.</translation>
    </message>
    <message>
        <source>{name} on {network}</source>
        <translation>{name} in {network}</translation>
    </message>
    <message>
        <source>{name} ran out of memory.</source>
        <translation>{name} hatte nicht genug Speicher.</translation>
    </message>
    <message>
        <source>{name} uses port {port}.</source>
        <translation>{name} verwendet Port {port}.</translation>
    </message>
    <message>
        <source>{name} was cloned</source>
        <translation>{name} wurde geklont</translation>
    </message>
    <message>
        <source>{name} was exported</source>
        <translation>{name} wurde exportiert</translation>
    </message>
    <message>
        <source>{name} was loaded</source>
        <translation>{name} wurde geladen</translation>
    </message>
    <message>
        <source>{name} was recreated</source>
        <translation>{name} wurde neu erstellt</translation>
    </message>
    <message>
        <source>{name}-copy</source>
        <translation>{name}-kopie</translation>
    </message>
    <message>
        <source>{name}: {action}</source>
        <translation>{name}: {action}</translation>
    </message>
    <message>
        <source>{name}: {step}…</source>
        <translation>{name}: {step}…</translation>
    </message>
    <message>
        <source>{n} d</source>
        <translation>{n} Tg.</translation>
    </message>
    <message>
        <source>{n} h</source>
        <translation>{n} Std.</translation>
    </message>
    <message>
        <source>{n} images are used by {users}.</source>
        <translation>{n} Images werden von {users} verwendet.</translation>
    </message>
    <message>
        <source>{n} min</source>
        <translation>{n} Min.</translation>
    </message>
    <message>
        <source>{n} min ago</source>
        <translation>vor {n} Min.</translation>
    </message>
    <message>
        <source>{n} mo</source>
        <translation>{n} Mon.</translation>
    </message>
    <message>
        <source>{n} more</source>
        <translation>{n} weitere</translation>
    </message>
    <message>
        <source>{n} ms</source>
        <translation>{n} ms</translation>
    </message>
    <message>
        <source>{n} of {all}</source>
        <translation>{n} von {all}</translation>
    </message>
    <message>
        <source>{n} of {all} lines</source>
        <translation>{n} von {all} Zeilen</translation>
    </message>
    <message>
        <source>{n} of {whole} shown</source>
        <translation>{n} von {whole} gezeigt</translation>
    </message>
    <message>
        <source>{n} s</source>
        <translation>{n} s</translation>
    </message>
    <message>
        <source>{n} s ago</source>
        <translation>vor {n} s</translation>
    </message>
    <message>
        <source>{n} wk</source>
        <translation>{n} Wo.</translation>
    </message>
    <message>
        <source>{n} y</source>
        <translation>{n} J.</translation>
    </message>
    <message numerus="yes">
        <source>{over} of %n layers</source>
        <comment>{over} of %n layer</comment>
        <translation>
            <numerusform>{over} von %n Layer</numerusform>
            <numerusform>{over} von %n Layern</numerusform>
        </translation>
    </message>
    <message>
        <source>{rank} of {n}</source>
        <translation>{rank} von {n}</translation>
    </message>
    <message>
        <source>{reason} They are not deleted.</source>
        <translation>{reason} Davon wird nichts gelöscht.</translation>
    </message>
    <message>
        <source>{runtime} · pid {pid}</source>
        <translation>{runtime} · PID {pid}</translation>
    </message>
    <message>
        <source>{said}, also on {others}</source>
        <translation>{said}, auch in {others}</translation>
    </message>
    <message numerus="yes">
        <source>{share} of %n CPUs</source>
        <comment>{share} of %n CPU</comment>
        <translation>
            <numerusform>{share} von %n CPU</numerusform>
            <numerusform>{share} von %n CPUs</numerusform>
        </translation>
    </message>
    <message>
        <source>{size} can be freed</source>
        <translation>{size} lassen sich freigeben</translation>
    </message>
    <message>
        <source>{size} freed.</source>
        <translation>{size} freigegeben.</translation>
    </message>
    <message>
        <source>{size} in {path}</source>
        <translation>{size} in {path}</translation>
    </message>
    <message>
        <source>{size} of disk space freed.</source>
        <translation>{size} Speicherplatz freigegeben.</translation>
    </message>
    <message>
        <source>{size}/s</source>
        <translation>{size}/s</translation>
    </message>
    <message numerus="yes">
        <source>{up} of %n containers</source>
        <comment>{up} of %n container</comment>
        <translation>
            <numerusform>{up} von %n Container</numerusform>
            <numerusform>{up} von %n Containern</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>{up} of %n containers running.</source>
        <comment>{up} of %n container running.</comment>
        <translation>
            <numerusform>{up} von %n Container läuft.</numerusform>
            <numerusform>{up} von %n Containern in Betrieb.</numerusform>
        </translation>
    </message>
    <message>
        <source>{used} of {whole}</source>
        <translation>{used} von {whole}</translation>
    </message>
    <message>
        <source>{verb}: {n} of {whole}</source>
        <translation>{verb}: {n} von {whole}</translation>
    </message>
    <message>
        <source>{words}, inode {inode}</source>
        <translation>{words}, Inode {inode}</translation>
    </message>
</context>
<context>
    <name>engine</name>
    <message>
        <source>&quot;{name}&quot; cannot be set here.</source>
        <translation>„{name}“ lässt sich hier nicht einstellen.</translation>
    </message>
    <message>
        <source>&quot;{name}&quot; is there twice.</source>
        <translation>„{name}“ kommt zweimal vor.</translation>
    </message>
    <message>
        <source>, line {number}</source>
        <translation>, Zeile {number}</translation>
    </message>
    <message>
        <source>, or set the accelerator to auto</source>
        <translation> oder den Beschleuniger auf auto stellen</translation>
    </message>
    <message>
        <source>A cold start follows; no data on its disk is lost.</source>
        <translation>Es folgt ein Kaltstart; auf dem Datenträger geht nichts verloren.</translation>
    </message>
    <message>
        <source>A command in the virtual machine wrote too much output.</source>
        <translation>Ein Befehl in der virtuellen Maschine hat zu viel ausgegeben.</translation>
    </message>
    <message>
        <source>A copy of the data disk needs {needed:size}, and {free:size} are free.</source>
        <translation>Eine Kopie der Datenplatte braucht {needed:size}, und {free:size} sind frei.</translation>
    </message>
    <message>
        <source>A newer Galley made the guest image in {file}: its format is {format}, not {expected}.</source>
        <translation>Das Gast-Image in {file} stammt von einem neueren Galley: Das Format ist {format}, nicht {expected}.</translation>
    </message>
    <message>
        <source>A newer guest image, with the packages of {date}, is not in use yet.</source>
        <translation>Ein neueres Gast-Image mit den Paketen vom {date} wird noch nicht verwendet.</translation>
    </message>
    <message>
        <source>A part of the guest did not start: {part}</source>
        <translation>Ein Teil des Gasts ist nicht gestartet: {part}</translation>
    </message>
    <message>
        <source>A snapshot cannot be named {name!r}.</source>
        <translation>Ein Snapshot kann nicht {name!r} heißen.</translation>
    </message>
    <message>
        <source>A swarm restarts its containers itself.</source>
        <translation>Ein Schwarm startet seine Container selbst neu.</translation>
    </message>
    <message>
        <source>Add Debian&apos;s archive, signed by debian-archive-keyring, to /etc/apt/sources.list.d</source>
        <translation>Debians Archiv, signiert von debian-archive-keyring, in /etc/apt/sources.list.d hinzufügen</translation>
    </message>
    <message>
        <source>Add some: sudo usermod {options} $USER &amp;&amp; galley restart</source>
        <translation>IDs hinzufügen: sudo usermod {options} $USER &amp;&amp; galley restart</translation>
    </message>
    <message>
        <source>Add that authority to the trust store of this computer, then start Galley again.</source>
        <translation>Diese Zertifizierungsstelle dem Zertifikatsspeicher dieses Computers hinzufügen und Galley neu starten.</translation>
    </message>
    <message>
        <source>Another Galley process keeps Docker&apos;s file {file} locked.</source>
        <translation>Ein anderer Prozess von Galley hält Dockers Datei {file} gesperrt.</translation>
    </message>
    <message>
        <source>Another computer may answer in its place. If its key was replaced, `{command}` shows how to remove the old one.</source>
        <translation>Möglicherweise antwortet ein anderer Computer an seiner Stelle. Wurde der Schlüssel ersetzt, zeigt `{command}`, wie der alte entfernt wird.</translation>
    </message>
    <message>
        <source>Behind a proxy that decrypts connections, add its certificate authority to those that this computer trusts, or name it in SSL_CERT_FILE. Check the date of this computer, too.</source>
        <translation>Hinter einem Proxy, der Verbindungen entschlüsselt, dessen Zertifizierungsstelle zu denen hinzufügen, denen dieser Computer vertraut, oder sie in SSL_CERT_FILE nennen. Auch das Datum dieses Computers prüfen.</translation>
    </message>
    <message>
        <source>Booting Linux</source>
        <translation>Linux fährt hoch</translation>
    </message>
    <message>
        <source>Booting Linux for the boot checkpoint</source>
        <translation>Linux fährt für den Boot-Checkpoint hoch</translation>
    </message>
    <message>
        <source>Build it again: galley image build</source>
        <translation>Es neu bauen: galley image build</translation>
    </message>
    <message>
        <source>Cannot read {path} in the virtual machine.</source>
        <translation>{path} lässt sich in der virtuellen Maschine nicht lesen.</translation>
    </message>
    <message>
        <source>Cannot write {path} in the virtual machine.</source>
        <translation>{path} lässt sich in der virtuellen Maschine nicht schreiben.</translation>
    </message>
    <message>
        <source>Change its permissions, or leave it out.</source>
        <translation>Seine Rechte ändern oder ihn weglassen.</translation>
    </message>
    <message>
        <source>Check that the address belongs to this computer.</source>
        <translation>Prüfen, ob die Adresse zu diesem Computer gehört.</translation>
    </message>
    <message>
        <source>Check that the folder is there and, for a share, that it is mounted.</source>
        <translation>Prüfen, ob der Ordner vorhanden und, bei einer Netzwerkfreigabe, ob er eingehängt ist.</translation>
    </message>
    <message>
        <source>Check the date of this computer.</source>
        <translation>Das Datum dieses Computers prüfen.</translation>
    </message>
    <message>
        <source>Check the date of this computer. If it is right, the feed has to be published again.</source>
        <translation>Das Datum dieses Computers prüfen. Stimmt es, muss der Feed neu veröffentlicht werden.</translation>
    </message>
    <message>
        <source>Check the disk that holds {folder}: it may be failing, or your quota on it may be used up.</source>
        <translation>Die Festplatte mit {folder} prüfen: Vielleicht ist sie defekt, oder das Kontingent darauf ist aufgebraucht.</translation>
    </message>
    <message>
        <source>Check the feed&apos;s address and the keys in the settings.</source>
        <translation>Die Adresse des Feeds und die Schlüssel in den Einstellungen prüfen.</translation>
    </message>
    <message>
        <source>Check the feed&apos;s address and, behind a proxy, its login.</source>
        <translation>Die Adresse des Feeds prüfen und, hinter einem Proxy, die Anmeldung bei diesem.</translation>
    </message>
    <message>
        <source>Check the feed&apos;s address.</source>
        <translation>Die Adresse des Feeds prüfen.</translation>
    </message>
    <message>
        <source>Check the feed&apos;s address. Behind it has to be index.json.minisig.</source>
        <translation>Die Adresse des Feeds prüfen. Dahinter muss index.json.minisig liegen.</translation>
    </message>
    <message>
        <source>Check the folder and its permissions.</source>
        <translation>Den Ordner und seine Rechte prüfen.</translation>
    </message>
    <message>
        <source>Check the name before the first slash, and whether the engine reaches the network.</source>
        <translation>Den Namen vor dem ersten Schrägstrich prüfen und ob die Engine das Netzwerk erreicht.</translation>
    </message>
    <message>
        <source>Check the name of the image; if it is private, log in to its registry first.</source>
        <translation>Den Namen des Images prüfen; ist es privat, zuerst bei seiner Registry anmelden.</translation>
    </message>
    <message>
        <source>Check the network and apt&apos;s sources: sudo apt-get update</source>
        <translation>Netzwerk und apt-Quellen prüfen: sudo apt-get update</translation>
    </message>
    <message>
        <source>Check the network connection, and Galley&apos;s proxy in the settings.</source>
        <translation>Die Netzwerkverbindung und Galleys Proxy in den Einstellungen prüfen.</translation>
    </message>
    <message>
        <source>Check the setting docker_repository</source>
        <translation>Die Einstellung docker_repository prüfen</translation>
    </message>
    <message>
        <source>Check the user name, and the password or token.</source>
        <translation>Benutzername und Passwort oder Token prüfen.</translation>
    </message>
    <message>
        <source>Checking the guest image</source>
        <translation>Gast-Image wird geprüft</translation>
    </message>
    <message>
        <source>Checking the machine&apos;s identity</source>
        <translation>Identität der Maschine wird geprüft</translation>
    </message>
    <message>
        <source>Choose a file that was saved from images. To make an image of other files, import it.</source>
        <translation>Eine Datei wählen, die aus Images gespeichert wurde. Um aus anderen Dateien ein Image zu erstellen, die Datei importieren.</translation>
    </message>
    <message>
        <source>Choose a file.</source>
        <translation>Eine Datei wählen.</translation>
    </message>
    <message>
        <source>Choose another file or folder, or change its permissions.</source>
        <translation>Eine andere Datei oder einen anderen Ordner wählen oder die Rechte ändern.</translation>
    </message>
    <message>
        <source>Choose another file. A volume that was there before may now hold a part of this one.</source>
        <translation>Eine andere Datei wählen. Ein bereits vorhandenes Volume kann jetzt einen Teil dieser Datei enthalten.</translation>
    </message>
    <message>
        <source>Choose another name, or remove or rename the container that has it.</source>
        <translation>Einen anderen Namen wählen oder den Container, der ihn hat, löschen oder umbenennen.</translation>
    </message>
    <message>
        <source>Choose another name.</source>
        <translation>Einen anderen Namen wählen.</translation>
    </message>
    <message>
        <source>Choose another one.</source>
        <translation>Eine andere wählen.</translation>
    </message>
    <message>
        <source>Choose auto, {names}.</source>
        <translation>Möglich sind auto, {names}.</translation>
    </message>
    <message>
        <source>Choosing the guest&apos;s files</source>
        <translation>Dateien des Gasts werden ausgewählt</translation>
    </message>
    <message>
        <source>Close some programs, or give it less: `galley settings set memory 2GiB`.</source>
        <translation>Einige Programme schließen oder der Maschine weniger geben: `galley settings set memory 2GiB`.</translation>
    </message>
    <message>
        <source>Compressing the root file system</source>
        <translation>Wurzel-Dateisystem wird komprimiert</translation>
    </message>
    <message>
        <source>Configuring the Docker Engine</source>
        <translation>Docker Engine wird eingerichtet</translation>
    </message>
    <message>
        <source>Connecting to the machine</source>
        <translation>Verbindung zur Maschine</translation>
    </message>
    <message>
        <source>Containers are not notified of file changes on this computer: the machine does not answer.</source>
        <translation>Container werden über Dateiänderungen auf diesem Computer nicht benachrichtigt: Die Maschine antwortet nicht.</translation>
    </message>
    <message>
        <source>Containers are not notified of file changes on this computer: your user has reached Linux&apos;s limit of watches.</source>
        <translation>Container werden über Dateiänderungen auf diesem Computer nicht benachrichtigt: Die von Linux gesetzte Grenze für Watches ist erreicht.</translation>
    </message>
    <message>
        <source>Containers are notified of only some file changes on this computer: they use more folders than Galley can watch.</source>
        <translation>Container werden nur über einen Teil der Dateiänderungen auf diesem Computer benachrichtigt: Sie verwenden mehr Ordner, als Galley überwachen kann.</translation>
    </message>
    <message>
        <source>Containers that do not run as root cannot write to shared folders: on this computer, virtiofsd cannot create files of other users.</source>
        <translation>Container, die nicht als root laufen, können nicht in freigegebene Ordner schreiben: virtiofsd kann auf diesem Computer keine Dateien anderer Benutzer anlegen.</translation>
    </message>
    <message>
        <source>Containers that do not run as root cannot write to shared folders: your user has no subordinate IDs.</source>
        <translation>Container, die nicht als root laufen, können nicht in freigegebene Ordner schreiben: Das Benutzerkonto hat keine untergeordneten IDs.</translation>
    </message>
    <message>
        <source>Containers that use it are blocked. Restart the engine: galley restart. If it ends again, see `galley logs --component vm`.</source>
        <translation>Container, die ihn verwenden, sind blockiert. Die Engine neu starten: galley restart. Endet es wieder, siehe `galley logs --component vm`.</translation>
    </message>
    <message>
        <source>Copy or export it again.</source>
        <translation>Die Datei erneut kopieren oder exportieren.</translation>
    </message>
    <message>
        <source>Copy what containers need into volumes.</source>
        <translation>Was Container brauchen, in Volumes kopieren.</translation>
    </message>
    <message>
        <source>Copy {disk} to a safe place, then run `galley start --repair`.</source>
        <translation>{disk} an einen sicheren Ort kopieren, dann `galley start --repair` ausführen.</translation>
    </message>
    <message>
        <source>Correct it with `docker context update`, for example to tcp://host:2376.</source>
        <translation>Sie mit `docker context update` berichtigen, zum Beispiel zu tcp://host:2376.</translation>
    </message>
    <message>
        <source>Correct it, or choose one for Galley: galley settings set proxy manual</source>
        <translation>Ihn berichtigen oder einen für Galley wählen: galley settings set proxy manual</translation>
    </message>
    <message>
        <source>Correct it, or delete it.</source>
        <translation>Sie berichtigen oder löschen.</translation>
    </message>
    <message>
        <source>Correct it, or stop Galley from changing it: `galley settings set use_context false`, and the same for use_keyring.</source>
        <translation>Sie berichtigen oder Galley daran hindern, sie zu ändern: `galley settings set use_context false`, und ebenso use_keyring.</translation>
    </message>
    <message>
        <source>Correct it, or take it away; then run `galley start`.</source>
        <translation>Korrigieren oder entfernen, dann `galley start` ausführen.</translation>
    </message>
    <message>
        <source>Correct it.</source>
        <translation>Bitte berichtigen.</translation>
    </message>
    <message>
        <source>Correct this environment variable, or unset it.</source>
        <translation>Diese Umgebungsvariable berichtigen oder entfernen.</translation>
    </message>
    <message>
        <source>Correct {file}, or move it away to go back to the defaults.</source>
        <translation>{file} berichtigen oder an einen anderen Ort verschieben, dann gelten wieder die Standardwerte.</translation>
    </message>
    <message>
        <source>Create it first, or bind mount it with -v.</source>
        <translation>Ihn zuerst anlegen oder mit -v einbinden.</translation>
    </message>
    <message>
        <source>Create it, or leave it out.</source>
        <translation>Ihn anlegen oder weglassen.</translation>
    </message>
    <message>
        <source>Create one: galley snapshot create NAME</source>
        <translation>Einen erstellen: galley snapshot create NAME</translation>
    </message>
    <message>
        <source>Create the folder first, or share it with the engine.</source>
        <translation>Den Ordner zuerst anlegen oder für die Engine freigeben.</translation>
    </message>
    <message>
        <source>Create the snapshot without memory.</source>
        <translation>Den Snapshot ohne Arbeitsspeicher erstellen.</translation>
    </message>
    <message>
        <source>Creating the machine</source>
        <translation>Maschine wird angelegt</translation>
    </message>
    <message>
        <source>DOCKER_HOST points docker at {given}, not at Galley.</source>
        <translation>DOCKER_HOST verweist docker auf {given}, nicht auf Galley.</translation>
    </message>
    <message>
        <source>Delete what is not needed (`galley disk reclaim --prune`), or make the disk larger: `galley settings set disk`.</source>
        <translation>Löschen, was nicht gebraucht wird (`galley disk reclaim --prune`), oder den Datenträger vergrößern: `galley settings set disk`.</translation>
    </message>
    <message>
        <source>Did you mean {near}?</source>
        <translation>War {near} gemeint?</translation>
    </message>
    <message>
        <source>Disconnect or remove the containers on this network first.</source>
        <translation>Zuerst die Container in diesem Netzwerk trennen oder löschen.</translation>
    </message>
    <message>
        <source>Docker does not find the program {program}, which stores logins in the keyring.</source>
        <translation>Docker findet das Programm {program} nicht, das Anmeldungen im Schlüsselbund speichert.</translation>
    </message>
    <message>
        <source>Docker has to run there, and its socket {socket} has to be open to your user.</source>
        <translation>Docker muss dort laufen, und der Socket {socket} muss für das verwendete Benutzerkonto offen sein.</translation>
    </message>
    <message>
        <source>Docker stores its logins in a plain file: {files}.</source>
        <translation>Docker speichert seine Anmeldungen in einer Klartextdatei: {files}.</translation>
    </message>
    <message>
        <source>Docker uses another context than Galley&apos;s.</source>
        <translation>Docker verwendet einen anderen Kontext als den von Galley.</translation>
    </message>
    <message>
        <source>Docker {newer} has used the data of this machine, and Docker {version} is older.</source>
        <translation>Docker {newer} hat die Daten dieser Maschine verwendet, und Docker {version} ist älter.</translation>
    </message>
    <message>
        <source>Docker&apos;s file {file} cannot be used: {error}.</source>
        <translation>Dockers Datei {file} ist nicht verwendbar: {error}.</translation>
    </message>
    <message>
        <source>Docker&apos;s guide to its installation on Debian has it: galley settings set docker_repository ADDRESS</source>
        <translation>Sie steht in Dockers Anleitung zur Installation unter Debian: galley settings set docker_repository ADRESSE</translation>
    </message>
    <message>
        <source>Downloading and unpacking Debian {suite} packages</source>
        <translation>Debian-{suite}-Pakete werden geladen und entpackt</translation>
    </message>
    <message>
        <source>Downloading the guest image: {done:size} of {total:size}</source>
        <translation>Gast-Image wird heruntergeladen: {done:size} von {total:size}</translation>
    </message>
    <message>
        <source>Emulation was chosen in the settings.</source>
        <translation>In den Einstellungen wurde Emulation gewählt.</translation>
    </message>
    <message>
        <source>End process {pid} and try again; the VM and its containers keep running meanwhile.</source>
        <translation>Den Prozess {pid} beenden und es erneut versuchen; die virtuelle Maschine und ihre Container laufen währenddessen weiter.</translation>
    </message>
    <message>
        <source>End process {pid} and try again; the VM keeps running meanwhile.</source>
        <translation>Den Prozess {pid} beenden und es erneut versuchen; die virtuelle Maschine läuft währenddessen weiter.</translation>
    </message>
    <message>
        <source>End the process engine.supervisor and try again; the VM and its containers keep running meanwhile.</source>
        <translation>Den Prozess engine.supervisor beenden und es erneut versuchen; die virtuelle Maschine und ihre Container laufen währenddessen weiter.</translation>
    </message>
    <message>
        <source>Every start of the machine boots Linux, which takes about twice as long as resuming a boot checkpoint: this has failed {failures} times in a row.</source>
        <translation>Jeder Start der Maschine fährt Linux hoch, was etwa doppelt so lange dauert wie das Fortsetzen eines Boot-Checkpoints: Das ist {failures}-mal hintereinander fehlgeschlagen.</translation>
    </message>
    <message>
        <source>Exporting the guest image: {done:size} of {total:size}</source>
        <translation>Gast-Image wird exportiert: {done:size} von {total:size}</translation>
    </message>
    <message>
        <source>Fetching Debian&apos;s package lists</source>
        <translation>Debians Paketlisten werden geholt</translation>
    </message>
    <message numerus="yes">
        <source>Fetching {count} changelogs</source>
        <comment>Fetching {count} changelog</comment>
        <translation>
            <numerusform>{count} Changelog wird geholt</numerusform>
            <numerusform>{count} Changelogs werden geholt</numerusform>
        </translation>
    </message>
    <message>
        <source>Folders cannot be shared by virtiofs: virtiofsd is not installed.</source>
        <translation>Ordner lassen sich nicht mit virtiofs freigeben: virtiofsd ist nicht installiert.</translation>
    </message>
    <message>
        <source>Folders of this computer cannot be shared with the machine.</source>
        <translation>Ordner dieses Computers können nicht für die Maschine freigegeben werden.</translation>
    </message>
    <message>
        <source>Free 2 GB on the disk that holds Galley&apos;s images</source>
        <translation>Auf der Festplatte mit Galleys Images 2 GB freigeben</translation>
    </message>
    <message>
        <source>Free some space</source>
        <translation>Platz schaffen</translation>
    </message>
    <message>
        <source>Free some space on it, then try again.</source>
        <translation>Platz darauf schaffen und noch einmal versuchen.</translation>
    </message>
    <message>
        <source>Free some space on the disk that holds {folder}, or delete a snapshot.</source>
        <translation>Auf der Festplatte mit {folder} Platz schaffen oder einen Snapshot löschen.</translation>
    </message>
    <message>
        <source>Free some space on the disk that holds {folder}.</source>
        <translation>Auf der Festplatte mit {folder} Platz schaffen.</translation>
    </message>
    <message>
        <source>Free some space on the disk that holds {folder}; the machine then continues automatically.</source>
        <translation>Platz auf der Festplatte mit {folder} schaffen; die Maschine läuft dann automatisch weiter.</translation>
    </message>
    <message>
        <source>Free some space, or power it off: galley stop --cold</source>
        <translation>Platz schaffen oder sie ausschalten: galley stop --cold</translation>
    </message>
    <message>
        <source>Free some space, or set GALLEY_HOME to a directory on another disk.</source>
        <translation>Platz schaffen oder GALLEY_HOME auf einen Ordner auf einem anderen Datenträger setzen.</translation>
    </message>
    <message>
        <source>Free some space.</source>
        <translation>Platz schaffen.</translation>
    </message>
    <message>
        <source>Free some space: `galley docker system prune` removes what no container uses.</source>
        <translation>Platz schaffen: `galley docker system prune` entfernt, was kein Container verwendet.</translation>
    </message>
    <message>
        <source>Galley can log in only to a proxy whose address begins with http://.</source>
        <translation>Galley kann sich nur bei einem Proxy anmelden, dessen Adresse mit http:// beginnt.</translation>
    </message>
    <message>
        <source>Galley cannot reach {name}: the ssh of Windows has no sockets.</source>
        <translation>Galley kann {name} nicht erreichen: Das ssh von Windows kennt keine Sockets.</translation>
    </message>
    <message>
        <source>Galley cannot read the list of shared folders: {error}.</source>
        <translation>Galley kann die Liste freigegebener Ordner nicht lesen: {error}.</translation>
    </message>
    <message>
        <source>Galley cannot use {root}: {reason}.</source>
        <translation>Galley kann {root} nicht verwenden: {reason}.</translation>
    </message>
    <message>
        <source>Galley failed: {error}</source>
        <translation>Fehler in Galley: {error}</translation>
    </message>
    <message>
        <source>Galley has no password for the proxy {address}.</source>
        <translation>Galley hat kein Passwort für den Proxy {address}.</translation>
    </message>
    <message>
        <source>Galley is not running in the background.</source>
        <translation>Galley läuft nicht im Hintergrund.</translation>
    </message>
    <message>
        <source>Galley keeps its keys and sockets there. Use another folder.</source>
        <translation>Dort hat Galley seine Schlüssel und Sockets. Einen anderen Ordner verwenden.</translation>
    </message>
    <message>
        <source>Galley leaves it alone. To use it here, run `docker context rm {name}` and restart.</source>
        <translation>Galley lässt ihn unberührt. Um ihn hier zu verwenden, `docker context rm {name}` ausführen und neu starten.</translation>
    </message>
    <message>
        <source>Galley reaches dockerd on the socket that it has chosen.</source>
        <translation>Galley erreicht dockerd am selbst gewählten Socket.</translation>
    </message>
    <message>
        <source>Galley starts containerd itself.</source>
        <translation>Galley startet containerd selbst.</translation>
    </message>
    <message>
        <source>Galley tries again when the next container starts or ends. If that does not help: galley restart</source>
        <translation>Galley versucht es wieder, wenn der nächste Container startet oder endet. Hilft das nicht: galley restart</translation>
    </message>
    <message>
        <source>Galley tries it again at the next cold start.</source>
        <translation>Galley versucht es beim nächsten Kaltstart wieder.</translation>
    </message>
    <message>
        <source>Galley uses it to detect whether dockerd runs.</source>
        <translation>Galley erkennt daran, ob dockerd läuft.</translation>
    </message>
    <message>
        <source>Galley waits for the next image. Try this one again: galley image update --again</source>
        <translation>Galley wartet auf das nächste Image. Dieses erneut versuchen: galley image update --again</translation>
    </message>
    <message>
        <source>Galley {running} is running in the background, but this is Galley {ours}.</source>
        <translation>Im Hintergrund läuft Galley {running}, aber dies ist Galley {ours}.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process did not end within {seconds:g} s.</source>
        <translation>Der Hintergrundprozess von Galley hat sich nicht innerhalb von {seconds:g} s beendet.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process does not accept the key of this instance.</source>
        <translation>Der Hintergrundprozess von Galley nimmt den Schlüssel dieser Instanz nicht an.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process has not answered for {seconds:g} s.</source>
        <translation>Der Hintergrundprozess von Galley antwortet seit {seconds:g} s nicht.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process is of an incompatible version.</source>
        <translation>Der Hintergrundprozess von Galley hat eine unverträgliche Version.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process is of another build than this program.</source>
        <translation>Der Hintergrundprozess von Galley stammt aus einem anderen Build als dieses Programm.</translation>
    </message>
    <message>
        <source>Galley&apos;s background process {how}.</source>
        <translation>Der Hintergrundprozess von Galley {how}.</translation>
    </message>
    <message>
        <source>Galley&apos;s engine is starting ({step}).</source>
        <translation>Galleys Engine startet gerade ({step}).</translation>
    </message>
    <message>
        <source>Galley&apos;s engine is {state}.</source>
        <translation>Galleys Engine ist nicht bereit ({state}).</translation>
    </message>
    <message>
        <source>Galley&apos;s process that carries ports on IPv6 addresses does not work.</source>
        <translation>Galleys Prozess, der Ports an IPv6-Adressen weiterleitet, funktioniert nicht.</translation>
    </message>
    <message>
        <source>Give it at most {processors}: galley settings set</source>
        <translation>Ihr höchstens {processors} geben: galley settings set</translation>
    </message>
    <message>
        <source>Give it less: galley settings set</source>
        <translation>Ihr weniger geben: galley settings set</translation>
    </message>
    <message>
        <source>Give its address again, with the password, in the settings or with: galley settings set http_proxy -</source>
        <translation>Seine Adresse noch einmal mit dem Passwort angeben, in den Einstellungen oder mit: galley settings set http_proxy -</translation>
    </message>
    <message>
        <source>Give your user subordinate ids: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER</source>
        <translation>Dem Benutzerkonto untergeordnete IDs geben: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER</translation>
    </message>
    <message>
        <source>If you did not replace its data disk, another program answers in its place.</source>
        <translation>Wurde ihr Datenträger nicht ersetzt, antwortet ein anderes Programm an ihrer Stelle.</translation>
    </message>
    <message>
        <source>If you replaced {disk} yourself, delete {pin}.</source>
        <translation>Wurde {disk} absichtlich ersetzt, {pin} löschen.</translation>
    </message>
    <message>
        <source>Images and volumes are on the machine&apos;s data disk.</source>
        <translation>Images und Volumes liegen auf dem Datenträger der Maschine.</translation>
    </message>
    <message>
        <source>Install QEMU with your system&apos;s package manager.</source>
        <translation>QEMU mit der Paketverwaltung des Systems installieren.</translation>
    </message>
    <message>
        <source>Install a Secret Service such as gnome-keyring and log in to the desktop again, or name a keyring of yours in PYTHON_KEYRING_BACKEND. Without one, docker keeps logins in its own plain file after `galley settings set use_keyring false`, and Galley takes a proxy&apos;s password from HTTP_PROXY and HTTPS_PROXY after `galley settings set proxy system`.</source>
        <translation>Einen Secret Service wie gnome-keyring installieren und sich neu am Desktop anmelden oder einen eigenen Schlüsselbund in PYTHON_KEYRING_BACKEND nennen. Ohne einen bewahrt docker Anmeldungen nach `galley settings set use_keyring false` in seiner eigenen lesbaren Datei auf, und Galley nimmt das Passwort eines Proxys nach `galley settings set proxy system` aus HTTP_PROXY und HTTPS_PROXY.</translation>
    </message>
    <message>
        <source>Install a current debian-archive-keyring, or use another Debian mirror in /etc/apt/sources.list.d</source>
        <translation>Ein aktuelles debian-archive-keyring installieren oder einen anderen Debian-Spiegel in /etc/apt/sources.list.d verwenden</translation>
    </message>
    <message>
        <source>Install a newer Galley, or export the image with this one.</source>
        <translation>Ein neueres Galley installieren oder das Image mit diesem exportieren.</translation>
    </message>
    <message>
        <source>Install a newer Galley.</source>
        <translation>Ein neueres Galley installieren.</translation>
    </message>
    <message>
        <source>Install dpkg, and a current mmdebstrap</source>
        <translation>dpkg und ein aktuelles mmdebstrap installieren</translation>
    </message>
    <message>
        <source>Install it (sudo apt-get install virtiofsd), or share by sftp: galley settings set share_by auto &amp;&amp; galley restart</source>
        <translation>Installieren (sudo apt-get install virtiofsd) oder mit sftp freigeben: galley settings set share_by auto &amp;&amp; galley restart</translation>
    </message>
    <message>
        <source>Install it with pip.</source>
        <translation>Galley mit pip installieren.</translation>
    </message>
    <message>
        <source>Install it: `brew install qemu`.</source>
        <translation>So wird es installiert: `brew install qemu`.</translation>
    </message>
    <message>
        <source>Install it: `sudo apt install {apt}` (Debian, Ubuntu), `sudo dnf install qemu-kvm` (Fedora), `sudo pacman -S qemu-base` (Arch).</source>
        <translation>So wird es installiert: `sudo apt install {apt}` (Debian, Ubuntu), `sudo dnf install qemu-kvm` (Fedora), `sudo pacman -S qemu-base` (Arch).</translation>
    </message>
    <message>
        <source>Install it: `winget install SoftwareFreedomConservancy.QEMU`, and put it on PATH.</source>
        <translation>So wird es installiert: `winget install SoftwareFreedomConservancy.QEMU`, danach in PATH aufnehmen.</translation>
    </message>
    <message>
        <source>Install it: sudo apt-get install zstd</source>
        <translation>Installieren: sudo apt-get install zstd</translation>
    </message>
    <message>
        <source>Install newuidmap (Debian: uidmap); then: galley restart</source>
        <translation>newuidmap installieren (Debian: uidmap); danach: galley restart</translation>
    </message>
    <message>
        <source>Install them: sudo apt-get install mmdebstrap erofs-utils qemu-utils zstd uidmap gcc libc6-dev</source>
        <translation>Installieren: sudo apt-get install mmdebstrap erofs-utils qemu-utils zstd uidmap gcc libc6-dev</translation>
    </message>
    <message>
        <source>Internal error in Galley: {kind}: {error}</source>
        <translation>Interner Fehler in Galley: {kind}: {error}</translation>
    </message>
    <message>
        <source>Internal error in {method}: {error}.</source>
        <translation>Interner Fehler in {method}: {error}.</translation>
    </message>
    <message>
        <source>It begins with -----BEGIN CERTIFICATE-----. Correct it; then run `galley start`.</source>
        <translation>Es beginnt mit -----BEGIN CERTIFICATE-----. Korrigieren, dann `galley start` ausführen.</translation>
    </message>
    <message>
        <source>It ended at once with exit code {code}.</source>
        <translation>Er endete sofort mit Exit-Code {code}.</translation>
    </message>
    <message>
        <source>It is in the machine&apos;s memory, where the next start expects it.</source>
        <translation>Es liegt im Speicher der Maschine, wo der nächste Start es erwartet.</translation>
    </message>
    <message>
        <source>It may have been deleted.</source>
        <translation>Möglicherweise wurde es gelöscht.</translation>
    </message>
    <message>
        <source>It may wait for its password in a window of its own. Unlock it, then try again.</source>
        <translation>Vielleicht wartet er in einem eigenen Fenster auf sein Passwort. Ihn entsperren, dann erneut versuchen.</translation>
    </message>
    <message>
        <source>It runs with Galley&apos;s own settings. Correct daemon.json and apply it again.</source>
        <translation>Er läuft mit Galleys eigenen Einstellungen. daemon.json berichtigen und erneut anwenden.</translation>
    </message>
    <message>
        <source>It was chosen when the machine was started.</source>
        <translation>Dies wurde beim Start der Maschine gewählt.</translation>
    </message>
    <message>
        <source>It will be when the engine starts again: galley restart</source>
        <translation>Er wird es, wenn die Engine wieder startet: galley restart</translation>
    </message>
    <message>
        <source>Its unshare is missing or too old: install util-linux 2.38 or later; then: galley restart</source>
        <translation>Sein unshare fehlt oder ist zu alt: util-linux 2.38 oder neuer installieren; danach: galley restart</translation>
    </message>
    <message>
        <source>Keep one of them.</source>
        <translation>Nur einen davon behalten.</translation>
    </message>
    <message>
        <source>Let it listen on 127.0.0.1 or 0.0.0.0 too.</source>
        <translation>Auch auf 127.0.0.1 oder 0.0.0.0 hören lassen.</translation>
    </message>
    <message>
        <source>Let this Galley start with `galley settings set start_at_login true`, or none with `galley settings set start_at_login false`.</source>
        <translation>Dieses Galley starten lassen mit `galley settings set start_at_login true`, oder keines mit `galley settings set start_at_login false`.</translation>
    </message>
    <message>
        <source>Line {line}, column {column}: {reason}.</source>
        <translation>Zeile {line}, Spalte {column}: {reason}.</translation>
    </message>
    <message>
        <source>Log in at the settings of the window, or install a docker client.</source>
        <translation>In den Einstellungen des Fensters anmelden oder einen Docker-Client installieren.</translation>
    </message>
    <message>
        <source>Log out of registries that you no longer use, then try again.</source>
        <translation>Von Registrys abmelden, die nicht mehr gebraucht werden, dann erneut versuchen.</translation>
    </message>
    <message>
        <source>Look for newer ones: galley image check. Update: galley image update</source>
        <translation>Nach neueren suchen: galley image check. Aktualisieren: galley image update</translation>
    </message>
    <message>
        <source>Machines cannot be suspended on this computer.</source>
        <translation>Auf diesem Computer ist kein Ruhezustand der Maschine möglich.</translation>
    </message>
    <message>
        <source>Make {place} writable for your user, then try again.</source>
        <translation>{place} für das eigene Benutzerkonto beschreibbar machen, dann noch einmal versuchen.</translation>
    </message>
    <message>
        <source>Mounting the data disk</source>
        <translation>Datenträger wird eingehängt</translation>
    </message>
    <message>
        <source>Move it away; Galley does not remove it.</source>
        <translation>An einen anderen Ort verschieben; Galley entfernt es nicht.</translation>
    </message>
    <message>
        <source>Move them to the keyring with `galley logins --move`, or keep it so: `galley settings set use_keyring false`.</source>
        <translation>Sie mit `galley logins --move` in den Schlüsselbund verschieben, oder es so lassen: `galley settings set use_keyring false`.</translation>
    </message>
    <message numerus="yes">
        <source>Newer packages fix {count} known vulnerabilities of the guest image.</source>
        <comment>Newer packages fix {count} known vulnerability of the guest image.</comment>
        <translation>
            <numerusform>Neuere Pakete beheben {count} bekannte Schwachstelle des Gast-Images.</numerusform>
            <numerusform>Neuere Pakete beheben {count} bekannte Schwachstellen des Gast-Images.</numerusform>
        </translation>
    </message>
    <message>
        <source>No folder has such a name.</source>
        <translation>Kein Ordner heißt so.</translation>
    </message>
    <message>
        <source>No module of the guest&apos;s kernel says which kernel it is for.</source>
        <translation>Kein Modul des Gast-Kernels nennt den Kernel, für den es ist.</translation>
    </message>
    <message>
        <source>No package of the guest&apos;s recipe holds a kernel.</source>
        <translation>Kein Paket aus dem Rezept des Gasts enthält einen Kernel.</translation>
    </message>
    <message>
        <source>No package of the guest&apos;s recipe holds kernel modules.</source>
        <translation>Kein Paket aus dem Rezept des Gasts enthält Kernel-Module.</translation>
    </message>
    <message>
        <source>No package of the guest&apos;s recipe holds {name}.</source>
        <translation>Kein Paket aus dem Rezept des Gasts enthält {name}.</translation>
    </message>
    <message>
        <source>No signed Release file says how old the guest&apos;s packages are.</source>
        <translation>Keine signierte Release-Datei gibt an, wie alt die Pakete des Gasts sind.</translation>
    </message>
    <message>
        <source>Nothing</source>
        <translation>Nichts</translation>
    </message>
    <message>
        <source>Nothing answers on {socket}.</source>
        <translation>An {socket} antwortet nichts.</translation>
    </message>
    <message>
        <source>Nothing is lost. `galley diagnose --bundle FILE` has the console of both.</source>
        <translation>Nichts ist verloren. `galley diagnose --bundle DATEI` enthält die Konsole von beiden.</translation>
    </message>
    <message>
        <source>Nothing was changed. Correct them.</source>
        <translation>Nichts wurde geändert. Bitte berichtigen.</translation>
    </message>
    <message>
        <source>Nothing was changed. `galley logs --component engine` says why; try again after `galley restart`.</source>
        <translation>Es wurde nichts geändert. `galley logs --component engine` sagt, warum; nach `galley restart` erneut versuchen.</translation>
    </message>
    <message>
        <source>Only your user may own and change Galley&apos;s files: remove what is not yours, or set GALLEY_HOME to another directory.</source>
        <translation>Nur das eigene Benutzerkonto darf Galleys Dateien besitzen und ändern: Fremdes entfernen oder GALLEY_HOME auf einen anderen Ordner setzen.</translation>
    </message>
    <message>
        <source>Only {free:size} are free on the disk that holds {folder}.</source>
        <translation>Auf dem Datenträger mit {folder} sind nur {free:size} frei.</translation>
    </message>
    <message>
        <source>Open it with its own program, for example Passwords and Keys, then try again.</source>
        <translation>Mit dem zugehörigen Programm öffnen, etwa Passwörter und Verschlüsselung, dann erneut versuchen.</translation>
    </message>
    <message>
        <source>Opening the Docker socket</source>
        <translation>Docker-Socket wird geöffnet</translation>
    </message>
    <message>
        <source>Please report it with its details.</source>
        <translation>Bitte mit den Einzelheiten melden.</translation>
    </message>
    <message>
        <source>Port {port} cannot be published on {address}: QEMU forwards IPv4 only.</source>
        <translation>Port {port} kann nicht unter {address} veröffentlicht werden: QEMU leitet nur IPv4 weiter.</translation>
    </message>
    <message>
        <source>Port {port} is already published by the container {container}.</source>
        <translation>Port {port} wird schon vom Container {container} veröffentlicht.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} of the container {container} cannot be reached from this computer: it listens on IPv6 only.</source>
        <translation>Port {port}/{protocol} des Containers {container} ist von diesem Computer nicht erreichbar: Er hört nur auf IPv6.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} cannot be published.</source>
        <translation>Port {port}/{protocol} unter {address} kann nicht veröffentlicht werden.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} is already in use by {holder}.</source>
        <translation>Port {port}/{protocol} unter {address} ist bereits belegt: {holder}.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} is already published by the container {container}.</source>
        <translation>Port {port}/{protocol} unter {address} wird schon vom Container {container} veröffentlicht.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} is already published by the service {service}.</source>
        <translation>Port {port}/{protocol} unter {address} wird schon vom Dienst {service} veröffentlicht.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} is reserved by Windows.</source>
        <translation>Port {port}/{protocol} unter {address} ist von Windows reserviert.</translation>
    </message>
    <message>
        <source>Port {port}/{protocol} on {address} is reserved for the administrator.</source>
        <translation>Port {port}/{protocol} unter {address} ist dem Administrator vorbehalten.</translation>
    </message>
    <message>
        <source>Port {what} is published by another container. Stop that one, or choose another host port.</source>
        <translation>Port {what} wird von einem anderen Container veröffentlicht. Diesen stoppen oder einen anderen Port des Hosts wählen.</translation>
    </message>
    <message>
        <source>Ports of containers cannot be published on this computer.</source>
        <translation>Auf diesem Computer können keine Ports von Containern veröffentlicht werden.</translation>
    </message>
    <message>
        <source>Preparing the kernel</source>
        <translation>Kernel wird vorbereitet</translation>
    </message>
    <message>
        <source>Publish fewer ports, or publish them without an address.</source>
        <translation>Weniger Ports veröffentlichen, oder sie ohne Adresse veröffentlichen.</translation>
    </message>
    <message>
        <source>Publish it on an IPv4 address, such as 127.0.0.1 or 0.0.0.0.</source>
        <translation>Ihn unter einer IPv4-Adresse veröffentlichen, etwa 127.0.0.1 oder 0.0.0.0.</translation>
    </message>
    <message>
        <source>Publish the container on another port. Ranges reserved by Windows: netsh interface ipv4 show excludedportrange protocol={protocol}</source>
        <translation>Den Container auf einem anderen Port veröffentlichen. Von Windows reservierte Bereiche: netsh interface ipv4 show excludedportrange protocol={protocol}</translation>
    </message>
    <message>
        <source>Publish the container on port 1024 or higher; on Linux, net.ipv4.ip_unprivileged_port_start sets the first port open to all users.</source>
        <translation>Den Container auf Port 1024 oder höher veröffentlichen; unter Linux legt net.ipv4.ip_unprivileged_port_start den ersten Port für alle Benutzer fest.</translation>
    </message>
    <message>
        <source>Published ports reach their containers by it.</source>
        <translation>Darüber erreichen veröffentlichte Ports ihre Container.</translation>
    </message>
    <message>
        <source>Pull the image first.</source>
        <translation>Das Image zuerst pullen.</translation>
    </message>
    <message>
        <source>Put Galley into a folder with a shorter path.</source>
        <translation>Galley in einen Ordner mit kürzerem Pfad legen.</translation>
    </message>
    <message>
        <source>Put a link to {link} into a folder that is in PATH everywhere, for example /usr/local/bin; or do without: `galley settings set use_keyring false`.</source>
        <translation>Einen Link auf {link} in einen Ordner legen, der überall in PATH steht, etwa /usr/local/bin; oder darauf verzichten: `galley settings set use_keyring false`.</translation>
    </message>
    <message>
        <source>Put the proxy&apos;s address with its password into HTTP_PROXY and HTTPS_PROXY, which Galley uses after `galley settings set proxy system`.</source>
        <translation>Die Adresse des Proxys mit seinem Passwort in HTTP_PROXY und HTTPS_PROXY angeben; Galley verwendet sie nach `galley settings set proxy system`.</translation>
    </message>
    <message>
        <source>QEMU could not copy the data disk: {reason}.</source>
        <translation>QEMU konnte die Datenplatte nicht kopieren: {reason}.</translation>
    </message>
    <message>
        <source>QEMU could not suspend or resume the machine: {reason}.</source>
        <translation>QEMU konnte die Maschine nicht in den Ruhezustand versetzen oder daraus fortsetzen: {reason}.</translation>
    </message>
    <message>
        <source>QEMU did not start the machine: {reason}</source>
        <translation>QEMU hat die Maschine nicht gestartet: {reason}</translation>
    </message>
    <message>
        <source>QEMU did not stop forwarding port {port}: {said}</source>
        <translation>QEMU leitet Port {port} weiterhin weiter: {said}</translation>
    </message>
    <message>
        <source>QEMU does not answer on its control socket.</source>
        <translation>QEMU antwortet nicht an seinem Steuersocket.</translation>
    </message>
    <message>
        <source>QEMU does not report connections to published ports.</source>
        <translation>QEMU meldet keine Verbindungen zu veröffentlichten Ports.</translation>
    </message>
    <message>
        <source>QEMU ended with code {code}</source>
        <translation>QEMU endete mit Code {code}</translation>
    </message>
    <message>
        <source>QEMU has been replaced</source>
        <translation>QEMU wurde ersetzt</translation>
    </message>
    <message>
        <source>QEMU refused {command}: {reason}.</source>
        <translation>QEMU hat {command} abgelehnt: {reason}.</translation>
    </message>
    <message>
        <source>QEMU {version} is too old: Galley needs {oldest} or newer.</source>
        <translation>QEMU {version} ist zu alt: Galley benötigt {oldest} oder neuer.</translation>
    </message>
    <message>
        <source>QEMU&apos;s control socket belongs to another machine.</source>
        <translation>Der Steuersocket von QEMU gehört zu einer anderen Maschine.</translation>
    </message>
    <message>
        <source>QEMU&apos;s control socket does not speak QMP.</source>
        <translation>Der Steuersocket von QEMU spricht kein QMP.</translation>
    </message>
    <message>
        <source>Raise Linux&apos;s limit, of which Galley uses half, then start the container again: sudo sysctl fs.inotify.max_user_watches=1048576</source>
        <translation>Die Grenze von Linux erhöhen, von der Galley die Hälfte verwendet, und den Container neu starten: sudo sysctl fs.inotify.max_user_watches=1048576</translation>
    </message>
    <message>
        <source>Raise its limit: sudo sysctl fs.inotify.max_user_instances=1024</source>
        <translation>Die Grenze erhöhen: sudo sysctl fs.inotify.max_user_instances=1024</translation>
    </message>
    <message>
        <source>Reading {address}</source>
        <translation>{address} wird gelesen</translation>
    </message>
    <message>
        <source>Refresh the image: it may have been removed or replaced meanwhile.</source>
        <translation>Das Image neu laden: Möglicherweise wurde es inzwischen gelöscht oder ersetzt.</translation>
    </message>
    <message>
        <source>Remove container {what} first, or remove the image by force.</source>
        <translation>Zuerst den Container {what} löschen oder das Image erzwungen löschen.</translation>
    </message>
    <message>
        <source>Remove that service, or choose another port.</source>
        <translation>Diesen Dienst entfernen oder einen anderen Port wählen.</translation>
    </message>
    <message>
        <source>Remove the container that uses it first ({what}).</source>
        <translation>Zuerst den Container löschen, der es verwendet ({what}).</translation>
    </message>
    <message>
        <source>Remove the file, and use a number that is higher than all that were published.</source>
        <translation>Die Datei entfernen und eine Nummer verwenden, die höher als alle veröffentlichten ist.</translation>
    </message>
    <message>
        <source>Remove the link.</source>
        <translation>Den Link löschen.</translation>
    </message>
    <message>
        <source>Replace it in this computer&apos;s trust store by a new one, or remove it; then run `galley start`.</source>
        <translation>Es im Zertifikatsspeicher dieses Computers durch ein neues ersetzen oder entfernen; danach `galley start` ausführen.</translation>
    </message>
    <message>
        <source>Restart the engine to finish updating: galley restart</source>
        <translation>Die Engine neu starten, um die Aktualisierung abzuschließen: galley restart</translation>
    </message>
    <message>
        <source>Restart the engine: galley restart. If that does not help, see `galley logs --component vm`.</source>
        <translation>Die Engine neu starten: galley restart. Hilft das nicht, siehe `galley logs --component vm`.</translation>
    </message>
    <message>
        <source>Resume the container first.</source>
        <translation>Den Container zuerst fortsetzen.</translation>
    </message>
    <message>
        <source>Resuming the machine</source>
        <translation>Maschine wird fortgesetzt</translation>
    </message>
    <message>
        <source>Run `docker context use {name}`, or use `galley docker …`.</source>
        <translation>`docker context use {name}` ausführen oder `galley docker …` verwenden.</translation>
    </message>
    <message>
        <source>Run `galley diagnose --bundle FILE` and check the logs in it.</source>
        <translation>`galley diagnose --bundle DATEI` ausführen und die Logs darin ansehen.</translation>
    </message>
    <message>
        <source>Run `galley restart` if this persists.</source>
        <translation>`galley restart` ausführen, falls dies anhält.</translation>
    </message>
    <message>
        <source>Run `galley restart`, then apply the settings again.</source>
        <translation>`galley restart` ausführen, dann die Einstellungen erneut anwenden.</translation>
    </message>
    <message>
        <source>Run `galley restart`, then try again.</source>
        <translation>`galley restart` ausführen, dann erneut versuchen.</translation>
    </message>
    <message>
        <source>Run `galley restart`, which tries it again.</source>
        <translation>`galley restart` ausführen, was es erneut versucht.</translation>
    </message>
    <message>
        <source>Run `galley restart`.</source>
        <translation>`galley restart` ausführen.</translation>
    </message>
    <message>
        <source>Run `galley start`: containers are not touched.</source>
        <translation>`galley start` ausführen: Container bleiben unberührt.</translation>
    </message>
    <message>
        <source>Run `{command}` once in a terminal, compare the key that it shows, and try again.</source>
        <translation>`{command}` einmal in einem Terminal ausführen, den angezeigten Schlüssel vergleichen und es erneut versuchen.</translation>
    </message>
    <message>
        <source>Run its image again.</source>
        <translation>Sein Image neu ausführen.</translation>
    </message>
    <message>
        <source>Run: galley restart --supervisor</source>
        <translation>Ausführen: galley restart --supervisor</translation>
    </message>
    <message>
        <source>Run: galley restart --supervisor (the VM and its containers keep running).</source>
        <translation>Ausführen: galley restart --supervisor (die virtuelle Maschine und ihre Container laufen weiter).</translation>
    </message>
    <message>
        <source>Run: galley start</source>
        <translation>Ausführen: galley start</translation>
    </message>
    <message>
        <source>SOURCE_DATE_EPOCH is {value}, which is not a time in seconds since 1970.</source>
        <translation>SOURCE_DATE_EPOCH ist {value}, was keine Zeit in Sekunden seit 1970 ist.</translation>
    </message>
    <message>
        <source>Save or copy it again. To make an image of other files, import them.</source>
        <translation>Erneut speichern oder kopieren. Um aus anderen Dateien ein Image zu erstellen, diese importieren.</translation>
    </message>
    <message>
        <source>See `galley status`.</source>
        <translation>Siehe `galley status`.</translation>
    </message>
    <message>
        <source>See on the Engine page whether it runs.</source>
        <translation>Auf der Seite „Engine“ nachsehen, ob sie läuft.</translation>
    </message>
    <message>
        <source>See the details, and `galley logs --component supervisor`.</source>
        <translation>Siehe die Details und `galley logs --component supervisor`.</translation>
    </message>
    <message>
        <source>See the details, which usually name a missing library of the system.</source>
        <translation>Siehe die Details: Sie nennen meist eine fehlende Bibliothek des Systems.</translation>
    </message>
    <message>
        <source>See: galley logs --component supervisor. Please report it with: galley diagnose --bundle</source>
        <translation>Siehe: galley logs --component supervisor. Bitte melden, zusammen mit: galley diagnose --bundle</translation>
    </message>
    <message>
        <source>Send the request as plain JSON in UTF-8.</source>
        <translation>Die Anfrage als einfaches JSON in UTF-8 senden.</translation>
    </message>
    <message>
        <source>Set GALLEY_HOME to a directory that you can write to.</source>
        <translation>GALLEY_HOME auf einen beschreibbaren Ordner setzen.</translation>
    </message>
    <message>
        <source>Set GALLEY_HOME to a shorter path.</source>
        <translation>GALLEY_HOME auf einen kürzeren Pfad setzen.</translation>
    </message>
    <message>
        <source>Set the accelerator to auto: galley settings set</source>
        <translation>Den Beschleuniger auf auto stellen: galley settings set</translation>
    </message>
    <message>
        <source>Set the clock: sudo timedatectl set-ntp true</source>
        <translation>Die Uhr stellen: sudo timedatectl set-ntp true</translation>
    </message>
    <message>
        <source>Set the key of its owner: galley settings set image_feed_signer RW…</source>
        <translation>Den Schlüssel seines Betreibers einstellen: galley settings set image_feed_signer RW…</translation>
    </message>
    <message>
        <source>Share a folder of your own.</source>
        <translation>Einen eigenen Ordner freigeben.</translation>
    </message>
    <message>
        <source>Share a folder that contains several of them: galley settings set shares</source>
        <translation>Einen Ordner freigeben, der mehrere davon enthält: galley settings set shares</translation>
    </message>
    <message>
        <source>Share it, or a folder that contains it, then restart the engine: galley settings set shares {shares} &amp;&amp; galley restart</source>
        <translation>Ihn oder einen Ordner, der ihn enthält, freigeben, dann die Engine neu starten: galley settings set shares {shares} &amp;&amp; galley restart</translation>
    </message>
    <message>
        <source>Share the folder that contains it.</source>
        <translation>Den Ordner freigeben, der sie enthält.</translation>
    </message>
    <message>
        <source>Shorten it.</source>
        <translation>Bitte kürzen.</translation>
    </message>
    <message>
        <source>Snapshots cannot be made on this computer.</source>
        <translation>Auf diesem Computer können keine Snapshots erstellt werden.</translation>
    </message>
    <message>
        <source>Something else uses port {what}. Choose another.</source>
        <translation>Port {what} wird anderweitig verwendet. Einen anderen wählen.</translation>
    </message>
    <message>
        <source>Start at login cannot be changed: {reason}.</source>
        <translation>Der Start bei der Anmeldung lässt sich nicht ändern: {reason}.</translation>
    </message>
    <message>
        <source>Start it again with `galley start`; images, volumes and containers are kept.</source>
        <translation>Sie mit `galley start` wieder starten; Images, Volumes und Container bleiben erhalten.</translation>
    </message>
    <message>
        <source>Start it and check again.</source>
        <translation>Sie starten und erneut nachsehen.</translation>
    </message>
    <message>
        <source>Start it first (galley start), or create the snapshot without memory.</source>
        <translation>Erst starten (galley start) oder den Snapshot ohne Arbeitsspeicher erstellen.</translation>
    </message>
    <message>
        <source>Start it with `galley start`.</source>
        <translation>Sie mit `galley start` starten.</translation>
    </message>
    <message>
        <source>Start it yourself to see why: docker start {name}</source>
        <translation>Ihn selbst starten, um den Grund zu sehen: docker start {name}</translation>
    </message>
    <message>
        <source>Start it, or choose another. Without a proxy: galley settings set proxy none</source>
        <translation>Ihn starten oder einen anderen wählen. Ohne Proxy: galley settings set proxy none</translation>
    </message>
    <message>
        <source>Start it: galley start</source>
        <translation>Sie starten: galley start</translation>
    </message>
    <message>
        <source>Start the container first.</source>
        <translation>Den Container zuerst starten.</translation>
    </message>
    <message>
        <source>Start the container, or open one of the folders in it.</source>
        <translation>Den Container starten oder einen der Ordner darin öffnen.</translation>
    </message>
    <message>
        <source>Start the engine again, which starts them: galley start</source>
        <translation>Die Engine noch einmal starten, dann starten auch diese: galley start</translation>
    </message>
    <message>
        <source>Start the engine again: galley restart</source>
        <translation>Die Engine neu starten: galley restart</translation>
    </message>
    <message>
        <source>Start the engine first: galley start</source>
        <translation>Zuerst die Engine starten: galley start</translation>
    </message>
    <message>
        <source>Start the machine again.</source>
        <translation>Die Maschine erneut starten.</translation>
    </message>
    <message>
        <source>Start the proxy, or choose another, or none, in the network settings.</source>
        <translation>Den Proxy starten oder in den Netzwerkeinstellungen einen anderen oder keinen wählen.</translation>
    </message>
    <message>
        <source>Starting containerd</source>
        <translation>containerd wird gestartet</translation>
    </message>
    <message>
        <source>Starting containers again</source>
        <translation>Container werden wieder gestartet</translation>
    </message>
    <message>
        <source>Starting the Docker Engine</source>
        <translation>Docker Engine wird gestartet</translation>
    </message>
    <message>
        <source>Starting {backend}</source>
        <translation>{backend} wird gestartet</translation>
    </message>
    <message>
        <source>Stop it first: galley stop</source>
        <translation>Sie zuerst stoppen: galley stop</translation>
    </message>
    <message>
        <source>Stop that container, or publish this one on another port.</source>
        <translation>Jenen Container stoppen oder diesen auf einem anderen Port veröffentlichen.</translation>
    </message>
    <message>
        <source>Stop that program, or publish the container on another port.</source>
        <translation>Dieses Programm beenden oder den Container auf einem anderen Port veröffentlichen.</translation>
    </message>
    <message>
        <source>Stop the container first, or remove it by force.</source>
        <translation>Den Container zuerst stoppen oder erzwungen löschen.</translation>
    </message>
    <message>
        <source>Such a request may have at most 8 MiB.</source>
        <translation>Eine solche Anfrage darf höchstens 8 MiB haben.</translation>
    </message>
    <message>
        <source>Suspend aborted: the engine is in use.</source>
        <translation>Ruhezustand abgebrochen: Die Engine wird verwendet.</translation>
    </message>
    <message>
        <source>Suspending needs {needed:size} for the machine&apos;s memory, and the disk that holds {folder} has {free:size} free.</source>
        <translation>Der Ruhezustand braucht {needed:size} für den Arbeitsspeicher der Maschine, und auf der Festplatte mit {folder} sind {free:size} frei.</translation>
    </message>
    <message>
        <source>Take another name.</source>
        <translation>Einen anderen Namen nehmen.</translation>
    </message>
    <message>
        <source>Take it out, and run: galley settings set {name} VALUE</source>
        <translation>Es herausnehmen und ausführen: galley settings set {name} VALUE</translation>
    </message>
    <message>
        <source>Testing {accelerator} with a small guest</source>
        <translation>{accelerator} wird mit einem kleinen Gast geprüft</translation>
    </message>
    <message>
        <source>The Credential Manager of Windows has no room for the list of one more login.</source>
        <translation>Die Anmeldeinformationsverwaltung von Windows hat keinen Platz für die Liste einer weiteren Anmeldung.</translation>
    </message>
    <message>
        <source>The Docker Engine does not answer.</source>
        <translation>Die Docker Engine antwortet nicht.</translation>
    </message>
    <message>
        <source>The Docker Engine does not report the CPU usage of containers.</source>
        <translation>Die Docker Engine meldet die CPU-Auslastung der Container nicht.</translation>
    </message>
    <message>
        <source>The Docker Engine does not start in the machine.</source>
        <translation>Die Docker Engine startet in der Maschine nicht.</translation>
    </message>
    <message>
        <source>The Docker Engine has ended meanwhile.</source>
        <translation>Die Docker Engine ist inzwischen beendet.</translation>
    </message>
    <message>
        <source>The Docker Engine is not running in Galley&apos;s virtual machine.</source>
        <translation>Die Docker Engine läuft nicht in der virtuellen Maschine von Galley.</translation>
    </message>
    <message>
        <source>The Docker Engine refused.</source>
        <translation>Die Docker Engine hat abgelehnt.</translation>
    </message>
    <message>
        <source>The Docker Engine reported an invalid value.</source>
        <translation>Die Docker Engine hat einen ungültigen Wert gemeldet.</translation>
    </message>
    <message>
        <source>The Docker Engine stopped sending {path}.</source>
        <translation>Die Docker Engine hat die Übertragung von {path} abgebrochen.</translation>
    </message>
    <message>
        <source>The Docker Engine stopped sending.</source>
        <translation>Die Docker Engine hat die Übertragung abgebrochen.</translation>
    </message>
    <message>
        <source>The accelerator {accelerator} does not exist on {system}.</source>
        <translation>Den Beschleuniger {accelerator} gibt es unter {system} nicht.</translation>
    </message>
    <message>
        <source>The address has a user name or a password, which Galley does not send.</source>
        <translation>Die Adresse enthält einen Benutzernamen oder ein Passwort, was Galley nicht sendet.</translation>
    </message>
    <message>
        <source>The administrator can change that (sysctl {setting}); then: galley restart</source>
        <translation>Der Administrator kann das ändern (sysctl {setting}); danach: galley restart</translation>
    </message>
    <message>
        <source>The apt sources of this channel do not have the package {name}.</source>
        <translation>Die apt-Quellen dieses Kanals haben das Paket {name} nicht.</translation>
    </message>
    <message>
        <source>The certificate of {address} is not trusted: {reason}.</source>
        <translation>Dem Zertifikat von {address} wird nicht vertraut: {reason}.</translation>
    </message>
    <message>
        <source>The certificate of {host} is refused: {reason}.</source>
        <translation>Das Zertifikat von {host} wird abgelehnt: {reason}.</translation>
    </message>
    <message>
        <source>The certificate of {name} is not used: it ended on {ends}.</source>
        <translation>Das Zertifikat von {name} wird nicht verwendet: Es ist am {ends} abgelaufen.</translation>
    </message>
    <message>
        <source>The certificates that this computer trusts cannot be read: {error}.</source>
        <translation>Die Zertifikate, denen dieser Computer vertraut, können nicht gelesen werden: {error}.</translation>
    </message>
    <message>
        <source>The command that is to start at login has {length} characters; Windows takes {longest}.</source>
        <translation>Der Befehl, der bei der Anmeldung starten soll, hat {length} Zeichen; Windows nimmt {longest}.</translation>
    </message>
    <message>
        <source>The connection to Galley&apos;s background process was lost.</source>
        <translation>Die Verbindung zum Hintergrundprozess von Galley ist abgebrochen.</translation>
    </message>
    <message numerus="yes">
        <source>The connection to the Docker Engine was lost before these containers were started again: {containers}.</source>
        <comment>The connection to the Docker Engine was lost before the container {containers} was started again.</comment>
        <translation>
            <numerusform>Die Verbindung zur Docker Engine ist abgebrochen, bevor der Container {containers} wieder gestartet war.</numerusform>
            <numerusform>Die Verbindung zur Docker Engine ist abgebrochen, bevor diese Container wieder gestartet waren: {containers}.</numerusform>
        </translation>
    </message>
    <message>
        <source>The connection to the virtual machine was lost during a command.</source>
        <translation>Die Verbindung zur virtuellen Maschine ging während eines Befehls verloren.</translation>
    </message>
    <message>
        <source>The connection to the virtual machine was lost.</source>
        <translation>Die Verbindung zur virtuellen Maschine ist abgebrochen.</translation>
    </message>
    <message>
        <source>The connection to {address} ended after {done} bytes.</source>
        <translation>Die Verbindung zu {address} endete nach {done} Bytes.</translation>
    </message>
    <message>
        <source>The connection to {name} was closed.</source>
        <translation>Die Verbindung zu {name} wurde geschlossen.</translation>
    </message>
    <message>
        <source>The container {name} did not start again.</source>
        <translation>Der Container {name} ist nicht wieder gestartet.</translation>
    </message>
    <message>
        <source>The containers could not be stopped one by one.</source>
        <translation>Die Container konnten nicht einzeln gestoppt werden.</translation>
    </message>
    <message>
        <source>The copy of {source} that this computer reaches is out of date: its Release file has expired.</source>
        <translation>Die Kopie von {source}, die dieser Computer erreicht, ist veraltet: Ihre Release-Datei ist abgelaufen.</translation>
    </message>
    <message>
        <source>The data disk is damaged: {said}</source>
        <translation>Der Datenträger ist beschädigt: {said}</translation>
    </message>
    <message>
        <source>The data disk is larger now, but its file system could not be made so.</source>
        <translation>Der Datenträger ist jetzt größer, aber sein Dateisystem konnte nicht vergrößert werden.</translation>
    </message>
    <message>
        <source>The desktop&apos;s own settings keep Galley from starting at login.</source>
        <translation>Die Einstellungen des Desktops selbst hindern Galley daran, bei der Anmeldung zu starten.</translation>
    </message>
    <message>
        <source>The details are in {path}. Please report them.</source>
        <translation>Die Einzelheiten stehen in {path}. Bitte melden.</translation>
    </message>
    <message>
        <source>The details show its last output; `galley shell` opens a shell in the machine.</source>
        <translation>Die Details zeigen seine letzte Ausgabe; `galley shell` öffnet eine Shell in der Maschine.</translation>
    </message>
    <message>
        <source>The disk that holds {folder} has {free:size} free; a machine needs {needed:size}.</source>
        <translation>Auf dem Datenträger mit {folder} sind {free:size} frei; eine Maschine benötigt {needed:size}.</translation>
    </message>
    <message>
        <source>The docker context {name} is not Galley&apos;s: it points at {address}.</source>
        <translation>Der Docker-Kontext {name} gehört nicht zu Galley: Er verweist auf {address}.</translation>
    </message>
    <message>
        <source>The engine is not running.</source>
        <translation>Die Engine läuft nicht.</translation>
    </message>
    <message>
        <source>The engine&apos;s disk is full. Remove what is not used, or give the disk more space.</source>
        <translation>Der Datenträger der Engine ist voll. Unbenutztes löschen oder dem Datenträger mehr Platz geben.</translation>
    </message>
    <message>
        <source>The fake backend cannot run commands.</source>
        <translation>Das Backend fake kann keine Befehle ausführen.</translation>
    </message>
    <message>
        <source>The fake backend emulates nothing.</source>
        <translation>Das Backend fake emuliert nichts.</translation>
    </message>
    <message>
        <source>The fake machine closed the connection.</source>
        <translation>Die simulierte Maschine hat die Verbindung geschlossen.</translation>
    </message>
    <message>
        <source>The fake machine does not answer.</source>
        <translation>Die simulierte Maschine antwortet nicht.</translation>
    </message>
    <message>
        <source>The feed has to be published again.</source>
        <translation>Der Feed muss neu veröffentlicht werden.</translation>
    </message>
    <message>
        <source>The files of this layer cannot be listed.</source>
        <translation>Die Dateien dieses Layers lassen sich nicht auflisten.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared.</source>
        <translation>Der Ordner {folder} kann nicht freigegeben werden.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared: Galley keeps its keys and sockets there.</source>
        <translation>Der Ordner {folder} kann nicht freigegeben werden: Dort hat Galley seine Schlüssel und Sockets.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared: it does not exist.</source>
        <translation>Der Ordner {folder} kann nicht freigegeben werden: Es gibt ihn nicht.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared: it is a file.</source>
        <translation>{folder} kann nicht freigegeben werden: Es ist eine Datei.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared: the machine uses this path itself.</source>
        <translation>Der Ordner {folder} kann nicht freigegeben werden: Die Maschine verwendet diesen Pfad selbst.</translation>
    </message>
    <message>
        <source>The folder {folder} cannot be shared: you have no permission to read it.</source>
        <translation>Der Ordner {folder} kann nicht freigegeben werden: Die Leserechte fehlen.</translation>
    </message>
    <message>
        <source>The folder {folder} does not exist.</source>
        <translation>Den Ordner {folder} gibt es nicht.</translation>
    </message>
    <message>
        <source>The folder {folder} is a link to {target}, and -v accepts no colon in a path.</source>
        <translation>Der Ordner {folder} ist ein Link auf {target}, und -v erlaubt keinen Doppelpunkt im Pfad.</translation>
    </message>
    <message>
        <source>The folder {folder} is no longer shared: the program that served it, virtiofsd, has ended.</source>
        <translation>Der Ordner {folder} ist nicht mehr freigegeben: Das Programm, das ihn bereitstellte, virtiofsd, ist zu Ende.</translation>
    </message>
    <message>
        <source>The folder {folder} is not shared with Galley&apos;s virtual machine.</source>
        <translation>Der Ordner {folder} ist nicht für Galleys virtuelle Maschine freigegeben.</translation>
    </message>
    <message>
        <source>The folder {folder} is not shared with Galley&apos;s virtual machine. {reason}</source>
        <translation>Der Ordner {folder} ist nicht für Galleys virtuelle Maschine freigegeben. {reason}</translation>
    </message>
    <message>
        <source>The folder {folder} is not shared yet.</source>
        <translation>Der Ordner {folder} ist noch nicht freigegeben.</translation>
    </message>
    <message>
        <source>The folder {folder} is not shared: the machine could not mount it.</source>
        <translation>Der Ordner {folder} ist nicht freigegeben: Die Maschine konnte ihn nicht einhängen.</translation>
    </message>
    <message>
        <source>The guest image in {file} is for the Galley with recipe {recipe}; this one has {expected}.</source>
        <translation>Das Gast-Image in {file} ist für das Galley mit dem Rezept {recipe}; dieses hat {expected}.</translation>
    </message>
    <message>
        <source>The guest image in {file} is for {arch}; this computer runs {expected}.</source>
        <translation>Das Gast-Image in {file} ist für {arch}; auf diesem Computer läuft {expected}.</translation>
    </message>
    <message>
        <source>The guest image in {file} is from the future: {date}.</source>
        <translation>Das Gast-Image in {file} stammt aus der Zukunft: {date}.</translation>
    </message>
    <message>
        <source>The guest image is damaged: {name} in {image}: {reason}.</source>
        <translation>Das Gast-Image ist beschädigt: {name} in {image}: {reason}.</translation>
    </message>
    <message>
        <source>The guest image needs {needed:size}, and {free:size} are free.</source>
        <translation>Das Gast-Image braucht {needed:size}, und {free:size} sind frei.</translation>
    </message>
    <message>
        <source>The guest image of {date} does not start, so the one of {used} runs again: {reason}</source>
        <translation>Das Gast-Image vom {date} startet nicht, daher läuft wieder das vom {used}: {reason}</translation>
    </message>
    <message>
        <source>The guest image of {date} is not used yet: {reason}</source>
        <translation>Das Gast-Image vom {date} wird noch nicht verwendet: {reason}</translation>
    </message>
    <message>
        <source>The guest&apos;s kernel has another {function} than Galley knows.</source>
        <translation>Der Kernel des Gasts hat ein anderes {function}, als Galley kennt.</translation>
    </message>
    <message>
        <source>The guest&apos;s packages could not be fetched.</source>
        <translation>Die Pakete des Gasts konnten nicht geholt werden.</translation>
    </message>
    <message>
        <source>The guest&apos;s root could not be made.</source>
        <translation>Die Wurzel des Gasts konnte nicht erstellt werden.</translation>
    </message>
    <message>
        <source>The host key of the virtual machine is not known yet.</source>
        <translation>Der Host-Schlüssel der virtuellen Maschine ist noch nicht bekannt.</translation>
    </message>
    <message>
        <source>The image channel docker needs the address of Docker&apos;s apt repository.</source>
        <translation>Der Image-Kanal docker braucht die Adresse von Dockers apt-Quelle.</translation>
    </message>
    <message>
        <source>The image feed is signed by the key {key}, which is not among the trusted ones.</source>
        <translation>Der Image-Feed ist mit dem Schlüssel {key} signiert, der nicht zu den vertrauten gehört.</translation>
    </message>
    <message>
        <source>The image feed {address} expired on {date}.</source>
        <translation>Der Image-Feed {address} ist am {date} abgelaufen.</translation>
    </message>
    <message>
        <source>The image feed {address} has format {format}; this Galley reads {expected}.</source>
        <translation>Der Image-Feed {address} hat das Format {format}; dieses Galley liest {expected}.</translation>
    </message>
    <message>
        <source>The image feed {address} is from the future: {date}.</source>
        <translation>Der Image-Feed {address} kommt aus der Zukunft: {date}.</translation>
    </message>
    <message>
        <source>The image feed {address} is older than before: its serial number is {serial}, after {seen}.</source>
        <translation>Der Image-Feed {address} ist älter als zuvor: Seine Seriennummer ist {serial}, nach {seen}.</translation>
    </message>
    <message>
        <source>The image feed&apos;s newest image is of {date}, older than the installed one of {installed}.</source>
        <translation>Das neueste Image des Image-Feeds ist vom {date}, älter als das installierte vom {installed}.</translation>
    </message>
    <message>
        <source>The image feed&apos;s signature by the key {key} does not match: the feed has been altered.</source>
        <translation>Die Signatur des Image-Feeds mit dem Schlüssel {key} passt nicht: Der Feed wurde verändert.</translation>
    </message>
    <message>
        <source>The image feed&apos;s signature is not one of minisign.</source>
        <translation>Die Signatur des Image-Feeds stammt nicht von minisign.</translation>
    </message>
    <message>
        <source>The image has no such program.</source>
        <translation>Dieses Programm gibt es im Image nicht.</translation>
    </message>
    <message>
        <source>The index in {folder} has the serial number {seen}; {serial} is not higher.</source>
        <translation>Der Index in {folder} hat die Seriennummer {seen}; {serial} ist nicht höher.</translation>
    </message>
    <message>
        <source>The index of the image feed {address} cannot be read: {reason}.</source>
        <translation>Der Index des Image-Feeds {address} ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>The installed image stays in use. Check the feed&apos;s address.</source>
        <translation>Das installierte Image wird weiter verwendet. Die Adresse des Feeds prüfen.</translation>
    </message>
    <message>
        <source>The kernel could not be unpacked.</source>
        <translation>Der Kernel konnte nicht entpackt werden.</translation>
    </message>
    <message>
        <source>The kernel image does not unpack to what its header says.</source>
        <translation>Das Kernel-Image entpackt sich nicht zu dem, was sein Kopf angibt.</translation>
    </message>
    <message>
        <source>The kernel image is cut off.</source>
        <translation>Das Kernel-Image ist abgeschnitten.</translation>
    </message>
    <message>
        <source>The kernel of the guest does not describe its types (BTF).</source>
        <translation>Der Kernel des Gasts beschreibt seine Typen nicht (BTF).</translation>
    </message>
    <message>
        <source>The kernel of the guest has no {member} in its struct {name}.</source>
        <translation>Der Kernel des Gasts hat kein {member} in seinem struct {name}.</translation>
    </message>
    <message>
        <source>The kernel of the guest has no {name}.</source>
        <translation>Der Kernel des Gasts hat kein {name}.</translation>
    </message>
    <message>
        <source>The kernel of the guest has no {word} in its enum {name}.</source>
        <translation>Der Kernel des Gasts hat kein {word} in seinem enum {name}.</translation>
    </message>
    <message>
        <source>The kernel package holds no kernel image that Galley knows.</source>
        <translation>Das Kernel-Paket enthält kein Kernel-Image, das Galley kennt.</translation>
    </message>
    <message>
        <source>The key to Galley&apos;s background process is missing.</source>
        <translation>Der Schlüssel zum Hintergrundprozess von Galley fehlt.</translation>
    </message>
    <message>
        <source>The keyring has not answered for {seconds:g} s.</source>
        <translation>Der Schlüsselbund antwortet seit {seconds:g} s nicht.</translation>
    </message>
    <message>
        <source>The keyring is locked.</source>
        <translation>Der Schlüsselbund ist gesperrt.</translation>
    </message>
    <message>
        <source>The keyring refused: {error}.</source>
        <translation>Der Schlüsselbund lehnt ab: {error}.</translation>
    </message>
    <message>
        <source>The layer is compressed in a way that Galley cannot read (zstd).</source>
        <translation>Der Layer ist auf eine Weise komprimiert, die Galley nicht lesen kann (zstd).</translation>
    </message>
    <message>
        <source>The login for {name} could not be read.</source>
        <translation>Die Anmeldedaten für {name} waren nicht lesbar.</translation>
    </message>
    <message>
        <source>The machine can use {wanted:size} of memory, but only {free:size} are free now.</source>
        <translation>Die Maschine kann {wanted:size} Arbeitsspeicher belegen, derzeit sind aber nur {free:size} frei.</translation>
    </message>
    <message>
        <source>The machine cannot be suspended: it was started by another version of Galley.</source>
        <translation>Die Maschine kann nicht in den Ruhezustand versetzt werden: Sie wurde von einer anderen Version von Galley gestartet.</translation>
    </message>
    <message>
        <source>The machine does not change whether containers reach this computer&apos;s services.</source>
        <translation>Die Maschine ändert nicht, ob Container Dienste dieses Computers erreichen.</translation>
    </message>
    <message>
        <source>The machine does not report its time.</source>
        <translation>Die Maschine gibt ihre Uhrzeit nicht an.</translation>
    </message>
    <message>
        <source>The machine does not take the certificates for single registries.</source>
        <translation>Die Maschine nimmt die Zertifikate für einzelne Registries nicht an.</translation>
    </message>
    <message>
        <source>The machine does not take the certificates that this computer trusts.</source>
        <translation>Die Maschine übernimmt die Zertifikate nicht, denen dieser Computer vertraut.</translation>
    </message>
    <message>
        <source>The machine has no port left for port {port}/{protocol} on {address}.</source>
        <translation>Die Maschine hat für Port {port}/{protocol} unter {address} keinen Port mehr frei.</translation>
    </message>
    <message>
        <source>The machine is emulated, which makes it five to ten times slower.</source>
        <translation>Die Maschine wird emuliert und ist dadurch fünf- bis zehnmal langsamer.</translation>
    </message>
    <message>
        <source>The machine is not running.</source>
        <translation>Die Maschine läuft nicht.</translation>
    </message>
    <message>
        <source>The machine is not running: it has no memory to save.</source>
        <translation>Die Maschine läuft nicht: Sie hat keinen Arbeitsspeicher zu sichern.</translation>
    </message>
    <message>
        <source>The machine is running already.</source>
        <translation>Die Maschine läuft bereits.</translation>
    </message>
    <message>
        <source>The machine is running.</source>
        <translation>Die Maschine läuft.</translation>
    </message>
    <message>
        <source>The machine runs, but Galley&apos;s background process does not: docker cannot reach it.</source>
        <translation>Die Maschine läuft, aber der Hintergrundprozess von Galley nicht: docker kann sie nicht erreichen.</translation>
    </message>
    <message>
        <source>The machine shows another host key than the one it was created with.</source>
        <translation>Die Maschine zeigt einen anderen Host-Schlüssel als bei ihrer Erstellung.</translation>
    </message>
    <message>
        <source>The machine started only at the second try: {error}</source>
        <translation>Die Maschine ist erst beim zweiten Versuch gestartet: {error}</translation>
    </message>
    <message>
        <source>The machine that runs was started by an older Galley.</source>
        <translation>Die laufende Maschine wurde von einem älteren Galley gestartet.</translation>
    </message>
    <message>
        <source>The machine uses its own. Correct SSL_CERT_FILE or the file it names, then run: galley restart --supervisor</source>
        <translation>Die Maschine verwendet ihre eigenen. SSL_CERT_FILE oder die dort genannte Datei korrigieren, dann ausführen: galley restart --supervisor</translation>
    </message>
    <message>
        <source>The machine uses this path itself. Copy the folder to a shared one.</source>
        <translation>Die Maschine verwendet diesen Pfad selbst. Den Ordner in einen freigegebenen kopieren.</translation>
    </message>
    <message>
        <source>The machine&apos;s clock is {seconds:.0f} s ahead.</source>
        <translation>Die Uhr der Maschine geht {seconds:.0f} s vor.</translation>
    </message>
    <message>
        <source>The machine&apos;s clock is {seconds:.0f} s behind.</source>
        <translation>Die Uhr der Maschine geht {seconds:.0f} s nach.</translation>
    </message>
    <message>
        <source>The machine&apos;s data disk is almost full: pulls, builds and containers may fail.</source>
        <translation>Der Datenträger der Maschine ist fast voll: Downloads, Builds und Container können scheitern.</translation>
    </message>
    <message>
        <source>The new machine has the image channel {channel}, because {wanted} is not available: {reason}</source>
        <translation>Die neue Maschine hat den Image-Kanal {channel}, weil {wanted} nicht verfügbar ist: {reason}</translation>
    </message>
    <message>
        <source>The old container is kept as {aside} or {name}.</source>
        <translation>Der alte Container ist als {aside} oder {name} erhalten.</translation>
    </message>
    <message>
        <source>The operator of the registry has to renew it, or this computer&apos;s clock is wrong.</source>
        <translation>Der Betreiber der Registry muss es erneuern, oder die Uhr dieses Computers geht falsch.</translation>
    </message>
    <message>
        <source>The package lists of {codename} are of {date}, older than those of the image that is here, of {kept}.</source>
        <translation>Die Paketlisten von {codename} sind vom {date} und damit älter als die des vorhandenen Images vom {kept}.</translation>
    </message>
    <message>
        <source>The package lists of {source} are dated later than this computer&apos;s clock.</source>
        <translation>Die Paketlisten von {source} sind auf einen späteren Zeitpunkt als die Uhr dieses Computers datiert.</translation>
    </message>
    <message>
        <source>The package lists of {source} could not be fetched.</source>
        <translation>Die Paketlisten von {source} konnten nicht geladen werden.</translation>
    </message>
    <message>
        <source>The package lists of {source} have no valid signature of the key that Galley expects.</source>
        <translation>Die Paketlisten von {source} haben keine gültige Signatur des erwarteten Schlüssels.</translation>
    </message>
    <message>
        <source>The packages in the guest image are {days} days old.</source>
        <translation>Die Pakete im Gast-Image sind {days} Tage alt.</translation>
    </message>
    <message>
        <source>The packages that Galley runs with are unknown, because it is not installed as a Python package.</source>
        <translation>Die Pakete, mit denen Galley läuft, sind unbekannt, weil es nicht als Python-Paket installiert ist.</translation>
    </message>
    <message>
        <source>The parameters of {method} are wrong: {error}.</source>
        <translation>Die Parameter von {method} sind falsch: {error}.</translation>
    </message>
    <message>
        <source>The path {root} is too long for a socket.</source>
        <translation>Der Pfad {root} ist zu lang für einen Socket.</translation>
    </message>
    <message>
        <source>The previous settings are active again. Correct the new ones and apply them again.</source>
        <translation>Die vorherigen Einstellungen gelten wieder. Die neuen berichtigen und erneut anwenden.</translation>
    </message>
    <message>
        <source>The previous settings were restored, but dockerd still fails. Run `galley restart`.</source>
        <translation>Die vorherigen Einstellungen wurden wiederhergestellt, aber dockerd startet weiterhin nicht. `galley restart` ausführen.</translation>
    </message>
    <message>
        <source>The program {name} was not found.</source>
        <translation>Das Programm {name} wurde nicht gefunden.</translation>
    </message>
    <message>
        <source>The proxy {address} does not answer: {reason}.</source>
        <translation>Der Proxy {address} antwortet nicht: {reason}.</translation>
    </message>
    <message>
        <source>The proxy {host} cannot be reached: {reason}.</source>
        <translation>Der Proxy {host} ist nicht erreichbar: {reason}.</translation>
    </message>
    <message>
        <source>The registry certificate {file} cannot be used: {reason}.</source>
        <translation>Das Registry-Zertifikat {file} kann nicht verwendet werden: {reason}.</translation>
    </message>
    <message>
        <source>The registry has no such tag. Check the name and the tag.</source>
        <translation>Die Registry hat diesen Tag nicht. Name und Tag prüfen.</translation>
    </message>
    <message>
        <source>The registry {host} cannot be reached: {reason}.</source>
        <translation>Die Registry {host} ist nicht erreichbar: {reason}.</translation>
    </message>
    <message>
        <source>The request is too long for Galley to check it.</source>
        <translation>Die Anfrage ist zu lang, als dass Galley sie prüfen könnte.</translation>
    </message>
    <message>
        <source>The serial number of {file} cannot be read: {reason}.</source>
        <translation>Die Seriennummer von {file} ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>The server answers {status} ({reason}) for {address}.</source>
        <translation>Der Server antwortet mit {status} ({reason}) für {address}.</translation>
    </message>
    <message>
        <source>The setting userns_remap is for this: shared folders follow it, too.</source>
        <translation>Dafür gibt es die Einstellung userns_remap: ihr folgen auch freigegebene Ordner.</translation>
    </message>
    <message>
        <source>The settings file cannot be read: {reason}.</source>
        <translation>Die Einstellungsdatei ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>The settings give the machine {cpus} CPUs, but this computer has {processors}.</source>
        <translation>Die Einstellungen geben der Maschine {cpus} CPUs, dieser Computer hat {processors}.</translation>
    </message>
    <message>
        <source>The settings give the machine {wanted:size} of memory, but this computer has {installed:size}.</source>
        <translation>Die Einstellungen geben der Maschine {wanted:size} Arbeitsspeicher, dieser Computer hat {installed:size}.</translation>
    </message>
    <message>
        <source>The settings were written by a newer Galley; what this one does not know is ignored.</source>
        <translation>Die Einstellungen stammen von einem neueren Galley; was dieses nicht kennt, wird ignoriert.</translation>
    </message>
    <message>
        <source>The snapshot was cancelled.</source>
        <translation>Der Snapshot wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The socket belongs to the machine&apos;s only user.</source>
        <translation>Der Socket gehört dem einzigen Benutzer der Maschine.</translation>
    </message>
    <message>
        <source>The socket {path} is already served by another program.</source>
        <translation>Der Socket {path} wird bereits von einem anderen Programm bedient.</translation>
    </message>
    <message>
        <source>The start was cancelled.</source>
        <translation>Der Start wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The start was cancelled; the machine is stopped.</source>
        <translation>Der Start wurde abgebrochen; die Maschine ist gestoppt.</translation>
    </message>
    <message>
        <source>The supervisor cannot be reached: {reason}.</source>
        <translation>Der Hintergrundprozess ist nicht erreichbar: {reason}.</translation>
    </message>
    <message>
        <source>The supervisor got a malformed request: {error}.</source>
        <translation>Der Hintergrundprozess erhielt eine fehlerhafte Anfrage: {error}.</translation>
    </message>
    <message>
        <source>The supervisor knows no method {method!r}.</source>
        <translation>Der Hintergrundprozess kennt keine Methode {method!r}.</translation>
    </message>
    <message>
        <source>The suspended machine cannot be resumed: {reason}.</source>
        <translation>Die Maschine lässt sich nicht aus dem Ruhezustand fortsetzen: {reason}.</translation>
    </message>
    <message>
        <source>The terminal has ended.</source>
        <translation>Das Terminal ist beendet.</translation>
    </message>
    <message>
        <source>The update was cancelled.</source>
        <translation>Die Aktualisierung wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The virtual machine did not start the command.</source>
        <translation>Die virtuelle Maschine hat den Befehl nicht gestartet.</translation>
    </message>
    <message>
        <source>The virtual machine did not start.</source>
        <translation>Die virtuelle Maschine ist nicht gestartet.</translation>
    </message>
    <message>
        <source>The virtual machine does not answer: {reason}.</source>
        <translation>Die virtuelle Maschine antwortet nicht: {reason}.</translation>
    </message>
    <message>
        <source>The virtual machine ended unexpectedly.</source>
        <translation>Die virtuelle Maschine wurde unerwartet beendet.</translation>
    </message>
    <message>
        <source>The virtual machine ended while it was booting.</source>
        <translation>Die virtuelle Maschine wurde während des Starts beendet.</translation>
    </message>
    <message>
        <source>The virtual machine refused {task}: {reason}.</source>
        <translation>Die virtuelle Maschine hat {task} abgelehnt: {reason}.</translation>
    </message>
    <message>
        <source>The virtual machine rejected its boot files.</source>
        <translation>Die virtuelle Maschine hat ihre Boot-Dateien abgelehnt.</translation>
    </message>
    <message>
        <source>The virtual machine rejected the rules that forward ports to containers.</source>
        <translation>Die virtuelle Maschine hat die Regeln abgelehnt, die Ports an Container weiterleiten.</translation>
    </message>
    <message>
        <source>The virtual machine shows another host key than the one it was created with.</source>
        <translation>Die virtuelle Maschine zeigt einen anderen Host-Schlüssel als bei ihrer Erstellung.</translation>
    </message>
    <message>
        <source>The virtual machine was started by another version of Galley.</source>
        <translation>Die virtuelle Maschine wurde von einer anderen Version von Galley gestartet.</translation>
    </message>
    <message>
        <source>The virtual machine was started by another version of Galley. It works as before.</source>
        <translation>Die virtuelle Maschine wurde von einer anderen Version von Galley gestartet. Sie funktioniert wie bisher.</translation>
    </message>
    <message>
        <source>The window did not open.</source>
        <translation>Das Fenster hat sich nicht geöffnet.</translation>
    </message>
    <message>
        <source>There are: {names}.</source>
        <translation>Es gibt: {names}.</translation>
    </message>
    <message>
        <source>There is a snapshot {name} already.</source>
        <translation>Es gibt schon einen Snapshot {name}.</translation>
    </message>
    <message>
        <source>There is a volume {name} already.</source>
        <translation>Ein Volume {name} gibt es bereits.</translation>
    </message>
    <message>
        <source>There is no backend {name}.</source>
        <translation>Es gibt kein Backend {name}.</translation>
    </message>
    <message>
        <source>There is no certificate in {file}.</source>
        <translation>In {file} ist kein Zertifikat.</translation>
    </message>
    <message>
        <source>There is no data to save yet.</source>
        <translation>Es gibt noch keine Daten zu sichern.</translation>
    </message>
    <message>
        <source>There is no display here for a window.</source>
        <translation>Hier gibt es keinen Bildschirm für ein Fenster.</translation>
    </message>
    <message>
        <source>There is no docker program on this computer that could log in.</source>
        <translation>Auf diesem Computer gibt es kein docker-Programm, das sich anmelden könnte.</translation>
    </message>
    <message>
        <source>There is no docker program on this computer.</source>
        <translation>Auf diesem Computer gibt es kein Programm docker.</translation>
    </message>
    <message>
        <source>There is no guest image yet.</source>
        <translation>Es gibt noch kein Gast-Image.</translation>
    </message>
    <message>
        <source>There is no key to check the feed {address} with.</source>
        <translation>Es gibt keinen Schlüssel, um den Feed {address} zu prüfen.</translation>
    </message>
    <message>
        <source>There is no keyring on this computer to keep secrets in.</source>
        <translation>Auf diesem Computer gibt es keinen Schlüsselbund für Geheimnisse.</translation>
    </message>
    <message>
        <source>There is no machine to delete.</source>
        <translation>Es gibt keine Maschine zu löschen.</translation>
    </message>
    <message>
        <source>There is no machine to start yet.</source>
        <translation>Es gibt noch keine Maschine zu starten.</translation>
    </message>
    <message>
        <source>There is no setting {name!r}.</source>
        <translation>Es gibt keine Einstellung {name!r}.</translation>
    </message>
    <message>
        <source>There is no snapshot {name}.</source>
        <translation>Es gibt keinen Snapshot {name}.</translation>
    </message>
    <message>
        <source>There is no space left on the disk that holds {path}.</source>
        <translation>Auf dem Datenträger mit {path} ist kein Platz mehr.</translation>
    </message>
    <message>
        <source>There is no space left on the disk that holds {root}.</source>
        <translation>Auf dem Datenträger mit {root} ist kein Platz mehr.</translation>
    </message>
    <message>
        <source>There is no {path} in {volume}.</source>
        <translation>In {volume} gibt es {path} nicht.</translation>
    </message>
    <message>
        <source>There is nothing to start.</source>
        <translation>Es gibt nichts zu starten.</translation>
    </message>
    <message>
        <source>This Mac has no Hypervisor.framework.</source>
        <translation>Dieser Mac hat kein Hypervisor.framework.</translation>
    </message>
    <message>
        <source>This computer&apos;s disk is full. The virtual machine waits until space is available.</source>
        <translation>Die Festplatte dieses Computers ist voll. Die virtuelle Maschine wartet, bis Platz verfügbar ist.</translation>
    </message>
    <message>
        <source>This computer&apos;s proxy for {protocol} is not used: its address is invalid.</source>
        <translation>Der Proxy dieses Computers für {protocol} wird nicht verwendet: Seine Adresse ist ungültig.</translation>
    </message>
    <message>
        <source>This file must not contain the password of {name}.</source>
        <translation>Diese Datei darf das Passwort von {name} nicht enthalten.</translation>
    </message>
    <message>
        <source>This image does not exist for the engine&apos;s architecture.</source>
        <translation>Dieses Image gibt es für die Architektur der Engine nicht.</translation>
    </message>
    <message>
        <source>This is not a Docker request: {reason}.</source>
        <translation>Das ist keine Docker-Anfrage: {reason}.</translation>
    </message>
    <message>
        <source>This secret is too long for the Credential Manager of Windows.</source>
        <translation>Dieses Geheimnis ist zu lang für die Anmeldeinformationsverwaltung von Windows.</translation>
    </message>
    <message>
        <source>This system has no hardware virtualization that QEMU can use.</source>
        <translation>Dieses System hat keine Hardware-Virtualisierung, die QEMU verwenden kann.</translation>
    </message>
    <message>
        <source>This user cannot open {device}: not a member of the group kvm.</source>
        <translation>Dieses Benutzerkonto kann {device} nicht öffnen: Es gehört nicht zur Gruppe kvm.</translation>
    </message>
    <message>
        <source>This was cancelled.</source>
        <translation>Dies wurde abgebrochen.</translation>
    </message>
    <message>
        <source>To retry: galley stop --cold, then galley start --repair</source>
        <translation>Erneut versuchen mit: galley stop --cold, dann galley start --repair</translation>
    </message>
    <message>
        <source>Try `{command}` in a terminal.</source>
        <translation>`{command}` in einem Terminal versuchen.</translation>
    </message>
    <message>
        <source>Try `{command}` in a terminal: it must work without a password. `ssh-add` gives a key to the agent.</source>
        <translation>`{command}` in einem Terminal versuchen: Es muss ohne Passwort gehen. `ssh-add` übergibt dem Agenten einen Schlüssel.</translation>
    </message>
    <message>
        <source>Try again in a moment.</source>
        <translation>Gleich noch einmal versuchen.</translation>
    </message>
    <message>
        <source>Try again later, or use another mirror</source>
        <translation>Später erneut versuchen, oder einen anderen Spiegel verwenden</translation>
    </message>
    <message>
        <source>Try again later. If it stays so, the copy on that server is damaged.</source>
        <translation>Später erneut versuchen. Bleibt es so, ist die Kopie auf diesem Server beschädigt.</translation>
    </message>
    <message>
        <source>Try again later: a copy of the feed may be behind. If it stays so, check its address.</source>
        <translation>Später erneut versuchen: Vielleicht ist eine Kopie des Feeds veraltet. Bleibt es so, seine Adresse prüfen.</translation>
    </message>
    <message>
        <source>Try again when it runs.</source>
        <translation>Erneut versuchen, wenn sie läuft.</translation>
    </message>
    <message>
        <source>Try again with `galley start`; `galley logs --component vm` has the whole console.</source>
        <translation>Mit `galley start` erneut versuchen; `galley logs --component vm` zeigt die gesamte Konsole.</translation>
    </message>
    <message>
        <source>Try again.</source>
        <translation>Erneut versuchen.</translation>
    </message>
    <message>
        <source>Try again: a download of an image continues where it ended.</source>
        <translation>Erneut versuchen: Der Download eines Images wird dort fortgesetzt, wo er endete.</translation>
    </message>
    <message>
        <source>Try again: galley restart</source>
        <translation>Erneut versuchen: galley restart</translation>
    </message>
    <message>
        <source>Try again: galley start</source>
        <translation>Noch einmal versuchen: galley start</translation>
    </message>
    <message>
        <source>Try again: it is restarted. The VM and its containers keep running.</source>
        <translation>Erneut versuchen: Er wird neu gestartet. Die virtuelle Maschine und ihre Container laufen weiter.</translation>
    </message>
    <message>
        <source>Try again: the download continues there.</source>
        <translation>Erneut versuchen: Der Download wird dort fortgesetzt.</translation>
    </message>
    <message>
        <source>Try again: the feed may have been published at this moment. If it stays so, do not use it.</source>
        <translation>Erneut versuchen: Vielleicht wurde der Feed gerade in diesem Moment veröffentlicht. Bleibt es so, ihn nicht verwenden.</translation>
    </message>
    <message>
        <source>Try again; `galley logs --component vm` shows its console.</source>
        <translation>Erneut versuchen; `galley logs --component vm` zeigt ihre Konsole.</translation>
    </message>
    <message>
        <source>Try again; the details say what was refused.</source>
        <translation>Noch einmal versuchen; in den Einzelheiten steht, was abgelehnt wurde.</translation>
    </message>
    <message>
        <source>Try again{chosen}; `galley logs --component vm` shows QEMU&apos;s output.</source>
        <translation>Erneut versuchen{chosen}; `galley logs --component vm` zeigt die Ausgabe von QEMU.</translation>
    </message>
    <message>
        <source>Try it again later: galley settings set channel {wanted}</source>
        <translation>Später erneut versuchen: galley settings set channel {wanted}</translation>
    </message>
    <message>
        <source>Unlock it, which logging in to the desktop does, then try again.</source>
        <translation>Ihn entsperren, was die Anmeldung am Desktop tut, dann erneut versuchen.</translation>
    </message>
    <message>
        <source>Unlock the keyring that has it, or log in to its registry again.</source>
        <translation>Den Schlüsselbund entsperren, der sie hat, oder sich neu an der Registry anmelden.</translation>
    </message>
    <message>
        <source>Unpacking the guest image: {done:size} of {total:size}</source>
        <translation>Gast-Image wird entpackt: {done:size} von {total:size}</translation>
    </message>
    <message>
        <source>Unset it, or use `galley docker …`.</source>
        <translation>Die Variable entfernen oder `galley docker …` verwenden.</translation>
    </message>
    <message>
        <source>Update Galley, or use the feed of this version.</source>
        <translation>Galley aktualisieren oder den Feed dieser Version verwenden.</translation>
    </message>
    <message>
        <source>Update Galley.</source>
        <translation>Galley aktualisieren.</translation>
    </message>
    <message>
        <source>Update it: galley image update</source>
        <translation>Aktualisieren: galley image update</translation>
    </message>
    <message>
        <source>Use --mount instead: docker run --mount {mount}</source>
        <translation>Stattdessen --mount verwenden: docker run --mount {mount}</translation>
    </message>
    <message>
        <source>Use --serial {least}.</source>
        <translation>--serial {least} verwenden.</translation>
    </message>
    <message>
        <source>Use `docker --context` in a terminal for this one.</source>
        <translation>Hierfür in einem Terminal `docker --context` verwenden.</translation>
    </message>
    <message>
        <source>Use `galley docker …`, which runs the one in the machine, or install a docker client.</source>
        <translation>`galley docker …` verwenden, das docker in der Maschine ausführt, oder einen Docker-Client installieren.</translation>
    </message>
    <message>
        <source>Use a computer with Debian or a system that is based on it</source>
        <translation>Einen Computer mit Debian oder einem darauf basierenden System verwenden</translation>
    </message>
    <message>
        <source>Use a shorter password or token. Docker stores long ones in its own plain file after `galley settings set use_keyring false`.</source>
        <translation>Ein kürzeres Passwort oder Token verwenden. Nach `galley settings set use_keyring false` speichert docker lange in seiner eigenen Klartextdatei.</translation>
    </message>
    <message>
        <source>Use an address that begins with https:// or file:, or the full path of a folder.</source>
        <translation>Eine Adresse verwenden, die mit https:// oder file: beginnt, oder den vollständigen Pfad eines Ordners.</translation>
    </message>
    <message>
        <source>Use an address that begins with https://.</source>
        <translation>Eine Adresse verwenden, die mit https:// beginnt.</translation>
    </message>
    <message>
        <source>Use an address without them.</source>
        <translation>Eine Adresse ohne diese verwenden.</translation>
    </message>
    <message>
        <source>Use an image for {expected}.</source>
        <translation>Ein Image für {expected} verwenden.</translation>
    </message>
    <message>
        <source>Use an image that the same version of Galley has exported.</source>
        <translation>Ein Image verwenden, das dieselbe Version von Galley exportiert hat.</translation>
    </message>
    <message>
        <source>Use ids such as CVE-2026-12345.</source>
        <translation>Kennungen wie CVE-2026-12345 verwenden.</translation>
    </message>
    <message>
        <source>Use it: galley restart</source>
        <translation>So wird es verwendet: galley restart</translation>
    </message>
    <message>
        <source>Use such a proxy, or one without a login.</source>
        <translation>Einen solchen Proxy verwenden oder einen ohne Anmeldung.</translation>
    </message>
    <message>
        <source>Use that one, or set GALLEY_HOME to another directory.</source>
        <translation>Dieses verwenden oder GALLEY_HOME auf einen anderen Ordner setzen.</translation>
    </message>
    <message>
        <source>Use the commands (`galley --help`), or run this in a graphical session.</source>
        <translation>Die Befehle verwenden (`galley --help`) oder dies in einer grafischen Sitzung ausführen.</translation>
    </message>
    <message>
        <source>Use the feed&apos;s final address.</source>
        <translation>Die endgültige Adresse des Feeds verwenden.</translation>
    </message>
    <message>
        <source>Use the form ssh://user@host, without a password.</source>
        <translation>Die Form ssh://user@host verwenden, ohne Passwort.</translation>
    </message>
    <message>
        <source>Use the newer one again, or go back to the data before it, which loses what was made since: galley snapshot restore {snapshot}</source>
        <translation>Wieder das neuere verwenden oder zu den Daten davor zurückkehren, wobei alles seitdem Erstellte verloren geht: galley snapshot restore {snapshot}</translation>
    </message>
    <message>
        <source>Use the second line of its file, which begins with RW.</source>
        <translation>Die zweite Zeile seiner Datei verwenden, die mit RW beginnt.</translation>
    </message>
    <message>
        <source>Use the stable channel, or another Debian mirror in /etc/apt/sources.list.d</source>
        <translation>Den Kanal stable oder einen anderen Debian-Spiegel in /etc/apt/sources.list.d verwenden</translation>
    </message>
    <message>
        <source>Use the stable channel, or another mirror</source>
        <translation>Den Kanal stable oder einen anderen Spiegel verwenden</translation>
    </message>
    <message>
        <source>Use up to 63 letters, digits, dots, dashes and underscores, a letter or digit first.</source>
        <translation>Bis zu 63 Buchstaben, Ziffern, Punkte, Binde- und Unterstriche verwenden, zuerst einen Buchstaben oder eine Ziffer.</translation>
    </message>
    <message>
        <source>Waiting for another download or build of a guest image</source>
        <translation>Auf einen anderen Download oder Build eines Gast-Images wird gewartet</translation>
    </message>
    <message>
        <source>What starts at login cannot be read from {place}: {reason}.</source>
        <translation>Was bei der Anmeldung startet, lässt sich nicht aus {place} lesen: {reason}.</translation>
    </message>
    <message>
        <source>What starts at login is not this Galley: {command}.</source>
        <translation>Was bei der Anmeldung startet, ist nicht dieses Galley: {command}.</translation>
    </message>
    <message>
        <source>Write it as name, name:tag or registry/name:tag.</source>
        <translation>Als name, name:tag oder registry/name:tag schreiben.</translation>
    </message>
    <message>
        <source>Write its settings between braces: {&quot;debug&quot;: true}</source>
        <translation>Die Einstellungen in geschweifte Klammern schreiben: {&quot;debug&quot;: true}</translation>
    </message>
    <message>
        <source>Writes to this computer&apos;s disk fail. The virtual machine waits and retries.</source>
        <translation>Schreibzugriffe auf die Festplatte dieses Computers schlagen fehl. Die virtuelle Maschine wartet und versucht es erneut.</translation>
    </message>
    <message>
        <source>`galley logs --component engine` says why; `galley restart` starts it again.</source>
        <translation>`galley logs --component engine` zeigt den Grund; `galley restart` startet sie wieder.</translation>
    </message>
    <message>
        <source>`galley logs --component engine` shows the log of dockerd.</source>
        <translation>`galley logs --component engine` zeigt das Log von dockerd.</translation>
    </message>
    <message>
        <source>`galley logs --component engine` shows the log of dockerd; `galley restart` restarts it.</source>
        <translation>`galley logs --component engine` zeigt das Log von dockerd; `galley restart` startet ihn neu.</translation>
    </message>
    <message>
        <source>`galley logs --component vm` shows the console of the machine.</source>
        <translation>`galley logs --component vm` zeigt die Konsole der Maschine.</translation>
    </message>
    <message>
        <source>`galley start` downloads or builds one.</source>
        <translation>`galley start` lädt eines herunter oder baut es.</translation>
    </message>
    <message>
        <source>`galley stop --cold` powers it off.</source>
        <translation>`galley stop --cold` schaltet sie aus.</translation>
    </message>
    <message>
        <source>a file of it has been changed</source>
        <translation>eine Datei davon wurde verändert</translation>
    </message>
    <message>
        <source>a minisign public key (56 characters that begin with RW), or empty</source>
        <translation>ein öffentlicher minisign-Schlüssel (56 Zeichen, die mit RW beginnen) oder leer</translation>
    </message>
    <message>
        <source>a time such as 90s, 5min or 2h, up to {longest}, or never</source>
        <translation>eine Zeit wie 90s, 5min oder 2h, höchstens {longest}, oder never</translation>
    </message>
    <message>
        <source>a word of letters, digits and -_.,+=</source>
        <translation>ein Wort aus Buchstaben, Ziffern und -_.,+=</translation>
    </message>
    <message>
        <source>an IP address such as 127.0.0.1</source>
        <translation>eine IP-Adresse wie 127.0.0.1</translation>
    </message>
    <message>
        <source>an address such as http://user:password@example.com:3128, or nothing</source>
        <translation>eine Adresse wie http://user:password@example.com:3128 oder nichts</translation>
    </message>
    <message>
        <source>an address that begins with https:// or file:, without a login, or a folder&apos;s path, or empty</source>
        <translation>eine Adresse, die mit https:// oder file: beginnt, ohne Anmeldung, oder der Pfad eines Ordners oder leer</translation>
    </message>
    <message>
        <source>another program</source>
        <translation>ein anderes Programm</translation>
    </message>
    <message>
        <source>apt could not read the package lists that it fetched.</source>
        <translation>apt konnte die geholten Paketlisten nicht lesen.</translation>
    </message>
    <message>
        <source>apt on this computer has no source of Debian {suite}.</source>
        <translation>apt hat auf diesem Computer keine Quelle für Debian {suite}.</translation>
    </message>
    <message>
        <source>daemon.json cannot be read: {reason}.</source>
        <translation>daemon.json ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>daemon.json has to be an object.</source>
        <translation>daemon.json muss ein Objekt sein.</translation>
    </message>
    <message>
        <source>daemon.json is JSON: names and texts in double quotes, no comma before a bracket.</source>
        <translation>daemon.json ist JSON: Namen und Texte in doppelten Anführungszeichen, kein Komma vor einer schließenden Klammer.</translation>
    </message>
    <message>
        <source>daemon.json is longer than {kib} KiB.</source>
        <translation>daemon.json ist länger als {kib} KiB.</translation>
    </message>
    <message>
        <source>did not start in time</source>
        <translation>ist nicht rechtzeitig gestartet</translation>
    </message>
    <message>
        <source>did not start within {seconds:g} s</source>
        <translation>ist nicht innerhalb von {seconds:g} s gestartet</translation>
    </message>
    <message>
        <source>docker-credential-{store} does not list its logins.</source>
        <translation>docker-credential-{store} zählt seine Anmeldungen nicht auf.</translation>
    </message>
    <message>
        <source>docker-credential-{store} failed.</source>
        <translation>docker-credential-{store} ist gescheitert.</translation>
    </message>
    <message>
        <source>dockerd does not start any more: {reason}.</source>
        <translation>dockerd startet nicht mehr: {reason}.</translation>
    </message>
    <message>
        <source>dockerd does not start with daemon.json: {said}.</source>
        <translation>dockerd startet mit daemon.json nicht: {said}.</translation>
    </message>
    <message>
        <source>dockerd does not start with these settings: {said}.</source>
        <translation>dockerd startet mit diesen Einstellungen nicht: {said}.</translation>
    </message>
    <message>
        <source>dockerd does not turn off live-restore, without which it allows no swarm.</source>
        <translation>dockerd schaltet live-restore nicht ab, erst dann erlaubt es einen Schwarm.</translation>
    </message>
    <message>
        <source>dockerd is reached inside the machine only, through ssh.</source>
        <translation>dockerd ist nur innerhalb der Maschine erreichbar, über ssh.</translation>
    </message>
    <message>
        <source>dockerd refuses these settings: {said}.</source>
        <translation>dockerd lehnt diese Einstellungen ab: {said}.</translation>
    </message>
    <message>
        <source>ended while it was starting</source>
        <translation>wurde während des Starts beendet</translation>
    </message>
    <message>
        <source>folders such as ~ or /data, with commas between them</source>
        <translation>Ordner wie ~ oder /data, mit Kommas dazwischen</translation>
    </message>
    <message>
        <source>from {least} to {most}</source>
        <translation>{least} bis {most}</translation>
    </message>
    <message>
        <source>it did not answer within {seconds:g} s</source>
        <translation>keine Antwort innerhalb von {seconds:g} s</translation>
    </message>
    <message>
        <source>it ends too early</source>
        <translation>endet zu früh</translation>
    </message>
    <message>
        <source>it has {name} in the place of {expected}</source>
        <translation>hat {name} an der Stelle von {expected}</translation>
    </message>
    <message>
        <source>it has {size} bytes instead of {expected}</source>
        <translation>hat {size} statt {expected} Bytes</translation>
    </message>
    <message>
        <source>it is missing</source>
        <translation>fehlt</translation>
    </message>
    <message>
        <source>it is no file</source>
        <translation>keine Datei</translation>
    </message>
    <message>
        <source>it is no tar archive, or damaged</source>
        <translation>kein Tar-Archiv oder beschädigt</translation>
    </message>
    <message>
        <source>it is not compressed by gzip, or damaged</source>
        <translation>nicht mit gzip komprimiert oder beschädigt</translation>
    </message>
    <message>
        <source>it rejects Galley&apos;s key</source>
        <translation>sie lehnt den Schlüssel von Galley ab</translation>
    </message>
    <message>
        <source>it stopped answering</source>
        <translation>sie antwortet nicht mehr</translation>
    </message>
    <message>
        <source>it was suspended by another version of Galley</source>
        <translation>sie wurde von einer anderen Version von Galley in den Ruhezustand versetzt</translation>
    </message>
    <message>
        <source>its content has changed</source>
        <translation>der Inhalt wurde verändert</translation>
    </message>
    <message>
        <source>its data disk is to have another size</source>
        <translation>ihre Datenplatte soll eine andere Größe haben</translation>
    </message>
    <message>
        <source>its format is {format}, not {expected}</source>
        <translation>das Format ist {format}, nicht {expected}</translation>
    </message>
    <message>
        <source>its job has ended</source>
        <translation>sein Job ist beendet</translation>
    </message>
    <message>
        <source>its manifest has the {name} {value}</source>
        <translation>im Manifest steht {name} {value}</translation>
    </message>
    <message>
        <source>its manifest lists other parts than images have</source>
        <translation>im Manifest stehen andere Teile, als Images haben</translation>
    </message>
    <message>
        <source>its settings have changed</source>
        <translation>ihre Einstellungen haben sich geändert</translation>
    </message>
    <message>
        <source>mmdebstrap did not report the packages that it installed.</source>
        <translation>mmdebstrap hat die installierten Pakete nicht gemeldet.</translation>
    </message>
    <message>
        <source>names such as example.com or 10.0.0.0/8, with commas between them, or nothing</source>
        <translation>Namen wie example.com oder 10.0.0.0/8, durch Kommas getrennt, oder nichts</translation>
    </message>
    <message>
        <source>no address</source>
        <translation>keine Adresse</translation>
    </message>
    <message>
        <source>no output</source>
        <translation>keine Ausgabe</translation>
    </message>
    <message>
        <source>no reason given</source>
        <translation>kein Grund angegeben</translation>
    </message>
    <message>
        <source>one of {choices}</source>
        <translation>eines von {choices}</translation>
    </message>
    <message>
        <source>settings.toml{where}: {name} is not kept in this file.</source>
        <translation>settings.toml{where}: {name} steht nicht in dieser Datei.</translation>
    </message>
    <message>
        <source>settings.toml{where}: {problem}</source>
        <translation>settings.toml{where}: {problem}</translation>
    </message>
    <message>
        <source>something follows its end</source>
        <translation>nach dem Ende folgt noch etwas</translation>
    </message>
    <message>
        <source>ssh cannot reach {name}: {reason}.</source>
        <translation>ssh kann {name} nicht erreichen: {reason}.</translation>
    </message>
    <message>
        <source>ssh does not know the host key of {name} yet.</source>
        <translation>ssh kennt den Host-Schlüssel von {name} noch nicht.</translation>
    </message>
    <message>
        <source>ssh reaches {host}, but not its Docker Engine.</source>
        <translation>ssh erreicht {host}, aber nicht die Docker Engine dort.</translation>
    </message>
    <message>
        <source>starting</source>
        <translation>startet</translation>
    </message>
    <message>
        <source>the Windows Hypervisor Platform</source>
        <translation>Die Windows Hypervisor Platform</translation>
    </message>
    <message>
        <source>the accelerator is another one</source>
        <translation>der Beschleuniger ist ein anderer</translation>
    </message>
    <message>
        <source>the connection was closed</source>
        <translation>die Verbindung wurde geschlossen</translation>
    </message>
    <message>
        <source>the content of {name} has changed</source>
        <translation>der Inhalt von {name} wurde verändert</translation>
    </message>
    <message>
        <source>the data disk has another size</source>
        <translation>die Datenplatte hat eine andere Größe</translation>
    </message>
    <message>
        <source>the guest image is another one</source>
        <translation>das Gast-Image ist ein anderes</translation>
    </message>
    <message>
        <source>there is none</source>
        <translation>es gibt keinen</translation>
    </message>
    <message>
        <source>this computer&apos;s processor or kernel is another one</source>
        <translation>Prozessor oder Kernel dieses Computers ist ein anderer</translation>
    </message>
    <message>
        <source>true or false</source>
        <translation>true oder false</translation>
    </message>
    <message>
        <source>{accelerator} booted a test guest in {seconds:.1f} s.</source>
        <translation>{accelerator} hat einen Test-Gast in {seconds:.1f} s gestartet.</translation>
    </message>
    <message>
        <source>{accelerator} is present, but a test guest did not boot in {seconds:g} s.</source>
        <translation>{accelerator} ist vorhanden, aber ein Test-Gast startete nicht innerhalb von {seconds:g} s.</translation>
    </message>
    <message>
        <source>{accelerator} is present, but a test guest did not boot: {reason}</source>
        <translation>{accelerator} ist vorhanden, aber ein Test-Gast startete nicht: {reason}</translation>
    </message>
    <message>
        <source>{accelerator} was chosen in the settings.</source>
        <translation>{accelerator} wurde in den Einstellungen gewählt.</translation>
    </message>
    <message>
        <source>{address} cannot be reached: {reason}.</source>
        <translation>{address} ist nicht erreichbar: {reason}.</translation>
    </message>
    <message>
        <source>{address} cannot be read: {reason}.</source>
        <translation>{address} ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>{address} does not answer.</source>
        <translation>{address} antwortet nicht.</translation>
    </message>
    <message>
        <source>{address} does not have the key of Docker&apos;s apt repository, {fingerprint}.</source>
        <translation>{address} hat nicht den Schlüssel von Dockers apt-Quelle, {fingerprint}.</translation>
    </message>
    <message>
        <source>{address} has more than the {limit} bytes that Galley reads.</source>
        <translation>{address} hat mehr als die {limit} Bytes, die Galley liest.</translation>
    </message>
    <message>
        <source>{address} has no image of channel {channel} for {arch} and this version of Galley.</source>
        <translation>{address} hat kein Image des Kanals {channel} für {arch} und diese Version von Galley.</translation>
    </message>
    <message>
        <source>{address} is no address for ssh.</source>
        <translation>{address} ist keine Adresse für ssh.</translation>
    </message>
    <message>
        <source>{address} is no address that Galley can read.</source>
        <translation>{address} ist keine Adresse, die Galley lesen kann.</translation>
    </message>
    <message>
        <source>{address} is not encrypted.</source>
        <translation>{address} ist nicht verschlüsselt.</translation>
    </message>
    <message>
        <source>{address} is not the file that the feed lists: its SHA-256 digest differs.</source>
        <translation>{address} ist nicht die Datei, die der Feed nennt: Der SHA-256-Digest ist ein anderer.</translation>
    </message>
    <message>
        <source>{address} is not the file that the feed lists: its size is not {expected} bytes.</source>
        <translation>{address} ist nicht die Datei, die der Feed nennt: Die Größe ist nicht {expected} Bytes.</translation>
    </message>
    <message>
        <source>{address} redirects to an address that is not encrypted: {target}.</source>
        <translation>{address} leitet auf eine Adresse um, die nicht verschlüsselt ist: {target}.</translation>
    </message>
    <message>
        <source>{address} sends less than {slowest} bytes a second.</source>
        <translation>{address} sendet weniger als {slowest} Bytes pro Sekunde.</translation>
    </message>
    <message>
        <source>{command} did not end within {seconds:g} s.</source>
        <translation>{command} hat sich nicht innerhalb von {seconds:g} s beendet.</translation>
    </message>
    <message numerus="yes">
        <source>{count} shared folders are too many, or their paths are too long.</source>
        <comment>The path of the shared folder is too long.</comment>
        <translation>
            <numerusform>Der Pfad des freigegebenen Ordners ist zu lang.</numerusform>
            <numerusform>{count} freigegebene Ordner sind zu viele, oder ihre Pfade sind zu lang.</numerusform>
        </translation>
    </message>
    <message>
        <source>{damage} Building it again</source>
        <translation>{damage} Es wird neu gebaut</translation>
    </message>
    <message>
        <source>{device} does not exist: virtualization is off in the firmware, or there is none.</source>
        <translation>{device} gibt es nicht: Die Virtualisierung ist in der Firmware ausgeschaltet oder nicht vorhanden.</translation>
    </message>
    <message>
        <source>{end}</source>
        <translation>{end}</translation>
    </message>
    <message>
        <source>{file} cannot be read: {error}.</source>
        <translation>{file} ist nicht lesbar: {error}.</translation>
    </message>
    <message>
        <source>{file} cannot be read: {reason}.</source>
        <translation>{file} ist nicht lesbar: {reason}.</translation>
    </message>
    <message>
        <source>{file} does not hold a sound guest image: {reason}.</source>
        <translation>{file} enthält kein unbeschädigtes Gast-Image: {reason}.</translation>
    </message>
    <message>
        <source>{file} is not the image that the feed lists: its {name} is {found}, not {expected}.</source>
        <translation>{file} ist nicht das Image, das der Feed nennt: {name} ist {found}, nicht {expected}.</translation>
    </message>
    <message>
        <source>{help} The default is {default}.</source>
        <translation>{help} Der Standardwert ist {default}.</translation>
    </message>
    <message>
        <source>{hint}</source>
        <translation>{hint}</translation>
    </message>
    <message>
        <source>{hint} Or force a power-off: galley stop --cold</source>
        <translation>{hint} Oder die Maschine sofort ausschalten: galley stop --cold</translation>
    </message>
    <message>
        <source>{install}</source>
        <translation>{install}</translation>
    </message>
    <message>
        <source>{key} is not a public key of minisign.</source>
        <translation>{key} ist kein öffentlicher Schlüssel von minisign.</translation>
    </message>
    <message>
        <source>{name} cannot be recreated: it is removed as soon as it stops.</source>
        <translation>{name} lässt sich nicht neu erstellen: Er wird gelöscht, sobald er stoppt.</translation>
    </message>
    <message>
        <source>{name} cannot be {value!r}: it must be {allowed}.</source>
        <translation>{name}: {value!r} ist nicht möglich. Zulässig: {allowed}.</translation>
    </message>
    <message>
        <source>{name} could not be compiled for the guest&apos;s kernel.</source>
        <translation>{name} konnte nicht für den Kernel des Gasts kompiliert werden.</translation>
    </message>
    <message>
        <source>{name} could not be compiled for the guest.</source>
        <translation>{name} konnte nicht für den Gast kompiliert werden.</translation>
    </message>
    <message>
        <source>{name} could not be recreated, and is as it was before. {error}</source>
        <translation>{name} ließ sich nicht neu erstellen und ist unverändert. {error}</translation>
    </message>
    <message>
        <source>{name} could not be recreated, nor fully restored: {error}</source>
        <translation>{name} ließ sich weder neu erstellen noch vollständig wiederherstellen: {error}</translation>
    </message>
    <message>
        <source>{name} holds no image.</source>
        <translation>{name} enthält kein Image.</translation>
    </message>
    <message>
        <source>{name} in it has {size} bytes</source>
        <translation>{name} darin hat {size} Bytes</translation>
    </message>
    <message>
        <source>{name} in it has {size} bytes instead of {expected}</source>
        <translation>{name} darin hat {size} statt {expected} Bytes</translation>
    </message>
    <message>
        <source>{name} in it is not a regular file</source>
        <translation>{name} darin ist keine reguläre Datei</translation>
    </message>
    <message>
        <source>{name} is damaged, or is not a tar file of images.</source>
        <translation>{name} ist beschädigt oder keine Tar-Datei mit Images.</translation>
    </message>
    <message>
        <source>{name} is not a whole tar file.</source>
        <translation>{name} ist keine vollständige Tar-Datei.</translation>
    </message>
    <message>
        <source>{name} is not the name of an image.</source>
        <translation>{name} ist kein Name eines Images.</translation>
    </message>
    <message>
        <source>{name} needs {library}, which no package of the recipe holds.</source>
        <translation>{name} braucht {library}, die kein Paket des Rezepts enthält.</translation>
    </message>
    <message>
        <source>{name} rejects every key that ssh offers.</source>
        <translation>{name} lehnt alle Schlüssel ab, die ssh anbietet.</translation>
    </message>
    <message>
        <source>{name} shows another host key than the one that ssh knows.</source>
        <translation>{name} zeigt einen anderen Host-Schlüssel als den, den ssh kennt.</translation>
    </message>
    <message>
        <source>{path!r} is not the absolute path of a file.</source>
        <translation>{path!r} ist kein absoluter Pfad einer Datei.</translation>
    </message>
    <message>
        <source>{path} belongs to another user of this computer. Use a folder of your own.</source>
        <translation>{path} gehört einem anderen Benutzer dieses Computers. Einen eigenen Ordner verwenden.</translation>
    </message>
    <message>
        <source>{path} cannot be used: {reason}.</source>
        <translation>{path} ist nicht verwendbar: {reason}.</translation>
    </message>
    <message>
        <source>{path} cannot be written: {reason}.</source>
        <translation>{path} ist nicht beschreibbar: {reason}.</translation>
    </message>
    <message>
        <source>{path} does not report its version.</source>
        <translation>{path} gibt seine Version nicht an.</translation>
    </message>
    <message>
        <source>{path} has too many entries to list.</source>
        <translation>{path} hat zu viele Einträge zum Auflisten.</translation>
    </message>
    <message>
        <source>{path} is a broken link.</source>
        <translation>{path} ist ein Link ohne Ziel.</translation>
    </message>
    <message>
        <source>{path} is a folder.</source>
        <translation>{path} ist ein Ordner.</translation>
    </message>
    <message>
        <source>{path} is not a file that can be read.</source>
        <translation>{path} ist keine lesbare Datei.</translation>
    </message>
    <message>
        <source>{path} is not a script for the fake machine: {error}</source>
        <translation>{path} ist kein Skript für die simulierte Maschine: {error}</translation>
    </message>
    <message>
        <source>{path} is not a socket.</source>
        <translation>{path} ist kein Socket.</translation>
    </message>
    <message>
        <source>{problem}</source>
        <translation>{problem}</translation>
    </message>
    <message>
        <source>{program} (pid {pid})</source>
        <translation>{program} (PID {pid})</translation>
    </message>
    <message>
        <source>{reason}</source>
        <translation>{reason}</translation>
    </message>
    <message>
        <source>{reason} Turn on virtualization in the firmware&apos;s settings, and give your user access to it (Linux: the group of /dev/kvm).</source>
        <translation>{reason} Die Virtualisierung in den Einstellungen der Firmware einschalten und dem Benutzerkonto Zugriff darauf geben (Linux: die Gruppe von /dev/kvm).</translation>
    </message>
    <message>
        <source>{said}</source>
        <translation>{said}</translation>
    </message>
    <message>
        <source>{server} does not take this login.</source>
        <translation>{server} nimmt diese Anmeldung nicht an.</translation>
    </message>
    <message>
        <source>{step} failed on this computer: {reason}.</source>
        <translation>{step} ist auf diesem Computer fehlgeschlagen: {reason}.</translation>
    </message>
    <message>
        <source>{step} failed: this computer&apos;s disk is full.</source>
        <translation>{step} ist fehlgeschlagen: Die Festplatte dieses Computers ist voll.</translation>
    </message>
    <message>
        <source>{step} took longer than {seconds:g} s.</source>
        <translation>„{step}“ dauerte länger als {seconds:g} s.</translation>
    </message>
    <message>
        <source>{url} is no address of an engine: {error}.</source>
        <translation>{url} ist keine Adresse einer Engine: {error}.</translation>
    </message>
    <message>
        <source>{used} is used. Run: galley settings set {name} VALUE</source>
        <translation>{used} wird verwendet. Ausführen: galley settings set {name} WERT</translation>
    </message>
    <message>
        <source>{value} is not the id of a CVE.</source>
        <translation>{value} ist keine CVE-Kennung.</translation>
    </message>
</context>
</TS>
